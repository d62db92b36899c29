"""What every training run here is made of: rows of tokens, batches, the answer's loss, the rate."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from training.examples import Example


@dataclass(frozen=True, slots=True)
class Row:
    ids: list[int]
    start: int  # the first token of the target


def row_of(tokenizer: PreTrainedTokenizerBase, example: Example) -> Row:
    prompt = tokenizer(example.prompt).input_ids
    whole = tokenizer(example.prompt + example.target).input_ids
    start = next(
        (i for i, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b),
        min(len(prompt), len(whole)),
    )
    return Row([*whole, tokenizer.eos_token_id] if example.closes else whole, start)


def batched(rows: list[Row], budget: int, rng: random.Random) -> list[list[Row]]:
    """Batches of rows of similar length, in random order.

    A batch has at most `budget` tokens, padding included.
    """
    rows = [row for row in rows if len(row.ids) <= 400]
    rng.shuffle(rows)
    batches: list[list[Row]] = []
    for at in range(0, len(rows), 800):
        batch: list[Row] = []
        for row in sorted(rows[at : at + 800], key=lambda r: len(r.ids)):
            if batch and len(row.ids) * (len(batch) + 1) > budget:
                batches.append(batch)
                batch = []
            batch.append(row)
        batches.append(batch)
    rng.shuffle(batches)
    return batches


def answer_loss(model: PeftModel, batch: Sequence[Row]) -> torch.Tensor:
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
    logits = logits_at(model, ids, mask, torch.tensor(at))
    losses = F.cross_entropy(logits, torch.tensor(targets), reduction="none")
    return (losses * torch.tensor(weights)).sum()


def logits_at(
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


def rate(step: int, steps: int, warmup: float) -> float:
    if step < warmup * steps:
        return (step + 1) / (warmup * steps + 1)
    done = (step - warmup * steps) / max(1.0, steps - warmup * steps)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))


class Progress:
    """Prints the smoothed losses now and then."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._started = time.monotonic()
        self._smooth: dict[str, float] = {}

    def note(self, step: int, losses: Mapping[str, torch.Tensor]) -> None:
        for name, loss in losses.items():
            before = self._smooth.get(name, loss.item())
            self._smooth[name] = 0.97 * before + 0.03 * loss.item()
        if step % 25 and step + 1 < self._steps:
            return
        elapsed = time.monotonic() - self._started
        left = elapsed / (step + 1) * (self._steps - step - 1)
        said = "  ".join(f"{name} {loss:.4f}" for name, loss in self._smooth.items())
        print(
            f"  step {step + 1}/{self._steps}  {said}  {elapsed:.0f} s  {left:.0f} s left",
            flush=True,
        )
