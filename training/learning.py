"""Trains the learning template's own adapter (server.lm.template_adapter).

    python -m training learning --out server/lm/adapter/learning

It is applied on top of the adapter in the folder above, and only where that template is read, so
training it changes nothing else that the model does: no keys and no fresh texts are needed. Recipe:
LoRA on the layers' outputs, AdamW with warm-up and cosine decay, loss on the facts' tokens only.
"""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from server.lm.adapters import merged
from server.lm.source import digest_files
from server.lm.template_adapter import TARGETS
from training.statements import Statements
from training.steps import Progress, answer_loss, batched, rate, row_of
from training.train import save_weights


@dataclass(frozen=True, slots=True)
class LearningRecipe:
    """Everything that the result depends on, apart from the data."""

    examples: int = 10_000
    rank: int = 24
    learning_rate: float = 6e-4
    batch_tokens: int = 1_400
    """Tokens in a batch of examples, padding included: about 20 examples."""
    warmup: float = 0.05
    seed: int = 23


def train_learning(model_folder: Path, adapter: Path, out: Path, recipe: LearningRecipe) -> None:
    """Train on what people say, on top of `adapter`, and write the result to `out`."""
    torch.manual_seed(recipe.seed)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    base = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    model = _adapted(merged(base, adapter).to(torch.bfloat16), recipe)
    statements = Statements(recipe.seed)
    rows = [row_of(tokenizer, example) for example in statements.examples(recipe.examples)]
    batches = batched(rows, recipe.batch_tokens, random.Random(recipe.seed))
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        weights, lr=recipe.learning_rate, weight_decay=0.0, betas=(0.9, 0.98)
    )
    progress = Progress(len(batches))
    model.train()
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * rate(step, len(batches), recipe.warmup)
        loss = answer_loss(model, batch)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        progress.note(step, {"facts": loss})
        if step % 50 == 49:
            save_weights(model, out)
    save_weights(model, out)
    notes = asdict(recipe) | {
        "tokens": sum(len(row.ids) for row in rows),
        "steps": len(batches),
        "on_top_of": digest_files(adapter.glob("adapter_*")),
    }
    (out / "recipe.json").write_text(json.dumps(notes, indent=1) + "\n")


def _adapted(model: PreTrainedModel, recipe: LearningRecipe) -> PeftModel:
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=2 * recipe.rank,
        target_modules=list(TARGETS),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)
