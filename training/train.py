"""Trains `server/lm/adapter`, a LoRA adapter that teaches the default model the three templates.

    python -m training train --data PATH --model FOLDER --out server/lm/adapter

Recipe: LoRA on all linear layers, AdamW with warm-up and cosine decay, loss on the answer's tokens
only (the mean over each example, then over the batch), plus the forgetting loss on fresh texts of
the base model (base_texts.py). The base weights stay in bfloat16; the adapter trains in float32
under autocast, and is stored in bfloat16.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from training.base_texts import forgetting_loss, load_or_sample
from training.examples import Example

_LINEAR_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that the result depends on, apart from the data."""

    examples: int = 16_000
    rank: int = 16
    learning_rate: float = 6e-4
    batch_tokens: int = 1_100
    """Tokens in a batch of examples, padding included: about 16 examples."""
    base_texts_per_step: int = 2
    base_text_tokens: int = 64
    forgetting_weight: float = 0.3
    warmup: float = 0.04
    seed: int = 17


@dataclass(frozen=True, slots=True)
class _Row:
    ids: list[int]
    start: int  # the first token of the target


def train(
    examples: Sequence[Example], model_folder: Path, out: Path, recipe: Recipe, base_texts: Path
) -> None:
    """Train on `examples`, each seen once, and write the adapter to `out`."""
    torch.manual_seed(recipe.seed)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    base = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.bfloat16)
    rows = [_row(tokenizer, example) for example in examples]
    batches = _batches(rows, recipe.batch_tokens, random.Random(recipe.seed))
    needed = len(batches) * recipe.base_texts_per_step
    texts = load_or_sample(base_texts, base, 0, needed, recipe.base_text_tokens, recipe.seed)
    model = get_peft_model(
        base,
        LoraConfig(
            r=recipe.rank,
            lora_alpha=2 * recipe.rank,
            target_modules=_LINEAR_LAYERS,
            task_type="CAUSAL_LM",
        ),
    )
    model.train()
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        weights, lr=recipe.learning_rate, weight_decay=0.0, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _rate(step, len(batches), recipe.warmup)
    )
    started = time.monotonic()
    smooth: dict[str, float] = {}
    for step, batch in enumerate(batches):
        answer_loss = _answer_loss(model, batch)
        torch.autograd.backward(answer_loss)
        chosen = slice(step * recipe.base_texts_per_step, (step + 1) * recipe.base_texts_per_step)
        forgetting = _forgetting(model, {name: tensor[chosen] for name, tensor in texts.items()})
        torch.autograd.backward(recipe.forgetting_weight * forgetting)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        for name, value in (("answer", answer_loss.item()), ("forgetting", forgetting.item())):
            smooth[name] = value if step == 0 else 0.97 * smooth[name] + 0.03 * value
        if step % 25 == 0 or step + 1 == len(batches):
            elapsed = time.monotonic() - started
            left = elapsed / (step + 1) * (len(batches) - step - 1)
            print(
                f"  step {step + 1}/{len(batches)}  answer {smooth['answer']:.4f}"
                f"  forgetting {smooth['forgetting']:.4f}  {elapsed:.0f} s  {left:.0f} s left",
                flush=True,
            )
        if step % 400 == 399:
            _save(model, out)
    _save(model, out)
    (out / "recipe.json").write_text(
        json.dumps(
            {f: getattr(recipe, f) for f in Recipe.__dataclass_fields__}
            | {"tokens": sum(len(r.ids) for r in rows), "steps": len(batches)},
            indent=1,
        )
        + "\n"
    )


def _row(tokenizer: PreTrainedTokenizerBase, example: Example) -> _Row:
    prompt = tokenizer(example.prompt).input_ids
    whole = tokenizer(example.prompt + example.target).input_ids
    start = next(
        (i for i, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b),
        min(len(prompt), len(whole)),
    )
    return _Row([*whole, tokenizer.eos_token_id] if example.closes else whole, start)


def _batches(rows: list[_Row], budget: int, rng: random.Random) -> list[list[_Row]]:
    """Batches of rows of similar length, in random order.

    A batch has at most `budget` tokens, padding included.
    """
    rows = [row for row in rows if len(row.ids) <= 400]
    rng.shuffle(rows)
    batches: list[list[_Row]] = []
    for at in range(0, len(rows), 800):
        batch: list[_Row] = []
        for row in sorted(rows[at : at + 800], key=lambda r: len(r.ids)):
            if batch and len(row.ids) * (len(batch) + 1) > budget:
                batches.append(batch)
                batch = []
            batch.append(row)
        batches.append(batch)
    rng.shuffle(batches)
    return batches


def _answer_loss(model: PeftModel, batch: Sequence[_Row]) -> torch.Tensor:
    width = max(len(row.ids) for row in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    at: list[int] = []
    targets: list[int] = []
    weights: list[float] = []
    for n, row in enumerate(batch):
        ids[n, : len(row.ids)] = torch.tensor(row.ids)
        mask[n, : len(row.ids)] = 1
        answer = range(row.start, len(row.ids))
        at.extend(n * width + t - 1 for t in answer)
        targets.extend(row.ids[t] for t in answer)
        weights.extend(1 / (len(answer) * len(batch)) for _ in answer)
    logits = _logits(model, ids, mask, torch.tensor(at))
    losses = F.cross_entropy(logits, torch.tensor(targets), reduction="none")
    return (losses * torch.tensor(weights)).sum()


def _forgetting(model: PeftModel, texts: dict[str, torch.Tensor]) -> torch.Tensor:
    ids = texts["ids"][:, :-1].long()
    logits = _logits(model, ids, torch.ones_like(ids), torch.arange(ids.numel()))
    return forgetting_loss(
        logits.log_softmax(-1), texts["top_ids"].flatten(0, 1), texts["top_probs"].flatten(0, 1)
    )


def _logits(
    model: PeftModel, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """Float32 logits at flat `positions` only: (positions, vocabulary).

    The vocabulary's matrix is a fifth of the model, so the other positions are left out.
    """
    causal = model.get_base_model()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = causal.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        logits: torch.Tensor = causal.lm_head(hidden.flatten(0, 1)[positions]).float()
    return logits


def _rate(step: int, steps: int, warmup: float) -> float:
    if step < warmup * steps:
        return (step + 1) / (warmup * steps + 1)
    done = (step - warmup * steps) / max(1.0, steps - warmup * steps)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))


def _save(model: PeftModel, out: Path) -> None:
    """Store the adapter in bfloat16: half the bytes, and the service's format where possible."""
    from safetensors.torch import load_file, save_file

    model.save_pretrained(out)
    path = out / "adapter_model.safetensors"
    save_file(
        {name: tensor.to(torch.bfloat16) for name, tensor in load_file(path).items()},
        path,
        {"format": "pt"},
    )
    (out / "README.md").unlink(missing_ok=True)
    config = json.loads((out / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "smollm2"
    (out / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
