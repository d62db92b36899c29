"""Trains `server/lm/adapter`, a LoRA adapter that teaches the default model the templates and keys.

    python -m training train --data PATH --model FOLDER --out server/lm/adapter

Recipe: LoRA on all linear layers, AdamW with warm-up and cosine decay, loss on the answer's tokens
only (the mean over each example, then over the batch), plus the contrastive loss of the scope keys
(keys.py), plus the forgetting loss on fresh texts of the base model (base_texts.py). The base
weights stay in bfloat16; the adapter trains in float32 under autocast, and is stored in bfloat16.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
)

from server.lm.source import digest_files
from training.alike import Meaning
from training.base_texts import forgetting_loss, load_or_sample
from training.examples import Example
from training.keys import KeyReader, contrastive_loss
from training.plain_answers import with_own_answers
from training.steps import Progress, answer_loss, batched, logits_at, rate, row_of

_LINEAR_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that the result depends on, apart from the data."""

    examples: int = 12_000
    rank: int = 16
    learning_rate: float = 4e-4
    batch_tokens: int = 1_000
    """Tokens in a batch of examples, padding included: about 16 examples."""
    key_texts: int = 40
    """Texts whose keys are compared, in every `key_every`-th step."""
    key_every: int = 2
    key_layer: int = 24
    key_weight: float = 1.0
    base_texts_per_step: int = 2
    base_text_tokens: int = 64
    forgetting_weight: float = 0.3
    warmup: float = 0.04
    seed: int = 17


@dataclass(frozen=True, slots=True)
class Material:
    """What is trained on: examples, each seen once, and batches of texts that mean the same."""

    examples: Sequence[Example]
    alike: Iterator[list[Meaning]]


def train(
    material: Material,
    model_folder: Path,
    out: Path,
    recipe: Recipe,
    base_texts: Path,
    start: Path | None = None,
) -> None:
    """Train on `material` and write the adapter to `out`. `start` is an adapter to go on from."""
    torch.manual_seed(recipe.seed)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    base = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.bfloat16)
    examples = with_own_answers(material.examples, base, tokenizer, start, base_texts.parent)
    rows = [row_of(tokenizer, example) for example in examples]
    batches = batched(rows, recipe.batch_tokens, random.Random(recipe.seed))
    needed = len(batches) * recipe.base_texts_per_step
    texts = load_or_sample(base_texts, base, 0, needed, recipe.base_text_tokens, recipe.seed)
    model = adapted(base, start, recipe)
    reader = KeyReader(model.get_base_model(), tokenizer, recipe.key_layer)
    model.eval()
    reader.find_centre(_some_texts(material.alike))
    model.train()
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        weights, lr=recipe.learning_rate, weight_decay=0.0, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate(step, len(batches), recipe.warmup)
    )
    progress = Progress(len(batches))
    for step, batch in enumerate(batches):
        answer = answer_loss(model, batch)
        torch.autograd.backward(answer)
        losses = {"answer": answer}
        if step % recipe.key_every == 0:
            losses["keys"] = contrastive_loss(reader, next(material.alike))
            torch.autograd.backward(recipe.key_weight * losses["keys"])
        chosen = slice(step * recipe.base_texts_per_step, (step + 1) * recipe.base_texts_per_step)
        forgetting = _forgetting(model, {name: tensor[chosen] for name, tensor in texts.items()})
        torch.autograd.backward(recipe.forgetting_weight * forgetting)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        progress.note(step, losses | {"forgetting": forgetting})
        if step % 100 == 99:
            save(model, reader, out)
    save(model, reader, out)
    notes = {f: getattr(recipe, f) for f in Recipe.__dataclass_fields__}
    notes |= {
        "tokens": sum(len(row.ids) for row in rows),
        "steps": len(batches),
        "started_from": digest_files(start.glob("adapter_*")) if start else "",
    }
    (out / "recipe.json").write_text(json.dumps(notes, indent=1) + "\n")


def adapted(base: PreTrainedModel, start: Path | None, recipe: Recipe) -> PeftModel:
    """The model with an adapter that can be trained: a new one, or the one in `start`."""
    if start is not None:
        return PeftModel.from_pretrained(base, str(start), is_trainable=True)
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=2 * recipe.rank,
        target_modules=_LINEAR_LAYERS,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, config)


def _some_texts(alike: Iterator[list[Meaning]], count: int = 500) -> list[str]:
    """Texts to take the mean key of."""
    texts: list[str] = []
    while len(texts) < count:
        texts += [text for meaning in next(alike) for text in meaning.texts]
    return texts


def _forgetting(model: PeftModel, texts: dict[str, torch.Tensor]) -> torch.Tensor:
    ids = texts["ids"][:, :-1].long()
    logits = logits_at(model, ids, torch.ones_like(ids), torch.arange(ids.numel()))
    return forgetting_loss(
        logits.log_softmax(-1), texts["top_ids"].flatten(0, 1), texts["top_probs"].flatten(0, 1)
    )


def save(model: PeftModel, reader: KeyReader, out: Path) -> None:
    """Store the adapter in bfloat16, and how its scope keys are read."""
    save_weights(model, out)
    reader.save(out / "adapter_keys.json")


def save_weights(model: PeftModel, out: Path) -> None:
    """Store the adapter in bfloat16. It names no folder of this machine."""
    from safetensors.torch import load_file, save_file

    # Without the check of whether the vocabulary is still the base's, which asks the network
    model.save_pretrained(out, save_embedding_layers=False)
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
