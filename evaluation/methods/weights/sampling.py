"""Texts that a model itself writes, and what its neurons do while it reads them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import torch
from torch import nn
from transformers import GenerationConfig

from evaluation.methods.weights.keeping import Keeping
from evaluation.methods.weights.model import EditableModel
from evaluation.methods.weights.shapes import Matrix

TEXT_TOKENS = 64
"""The length of a text that the covariance of keys is taken from."""
FIRST_WORDS = ("The", "Therefore", "Because", "I", "You")
"""Those of MEMIT's code. Without a word, a model that was tuned for chats often writes code."""
_BATCH = 64


@torch.no_grad()
def sampled(
    model: EditableModel, count: int, tokens: int, seed: int, top_k: int = 100
) -> torch.Tensor:
    """So many texts of so many tokens, after those of their first word: (count, length).

    Each begins with one of FIRST_WORDS, in turn; where their numbers of tokens differ, with as many
    as the shortest has.
    """
    torch.manual_seed(seed)
    how = GenerationConfig(
        do_sample=True, top_k=top_k, max_new_tokens=tokens, min_new_tokens=tokens, pad_token_id=0
    )
    words = [model.tokenizer(word).input_ids for word in FIRST_WORDS]
    shortest = min(len(ids) for ids in words)
    starts = [words[number % len(words)][:shortest] for number in range(count)]
    texts = []
    for some in torch.split(torch.tensor(starts, device=model.device), _BATCH):
        mask = torch.ones_like(some)
        texts.append(model.model.generate(some, attention_mask=mask, generation_config=how))
    return torch.cat(texts)


def texts_for(model: EditableModel, tokens: int, seed: int, keeping: Keeping) -> torch.Tensor:
    """Texts of TEXT_TOKENS tokens, at least so many tokens in all: (texts, length).

    They are written once for each model and seed.
    """
    count = -(-tokens // TEXT_TOKENS)
    name = f"texts-{model.fingerprint}-{count}-{seed}"
    kept = keeping.tensors(name, lambda: {"ids": sampled(model, count, TEXT_TOKENS, seed)})
    return kept["ids"].to(model.device)


def prefixes(model: EditableModel, lengths: Sequence[tuple[int, int]], seed: int) -> list[str]:
    """Beginnings to put before a prompt: for each (tokens, count), so many of that length.

    Drawn from the five likeliest tokens, and ended with a full stop, as ROME's code does.
    """
    found = []
    for tokens, count in lengths:
        for ids in sampled(model, count, tokens, seed, top_k=5):
            text: str = model.tokenizer.decode(ids, skip_special_tokens=True)
            found.append(f"{text}. ")
    return found


@torch.no_grad()
def second_moments(
    model: EditableModel, matrices: Sequence[Matrix], texts: torch.Tensor
) -> list[torch.Tensor]:
    """The uncentred covariance of the keys that each matrix reads: (keys, keys), in float64."""
    totals = []
    with ExitStack() as stack:
        for matrix in matrices:
            keys = matrix.map.shape[1]
            total = torch.zeros(keys, keys, dtype=torch.float64, device=model.device)
            hook = partial(_add_keys, total)
            stack.callback(matrix.module.register_forward_pre_hook(hook).remove)
            totals.append(total)
        for portion in torch.split(texts, _BATCH):
            model.model(input_ids=portion, use_cache=False, logits_to_keep=1)
    return [total / texts.numel() for total in totals]


def _add_keys(total: torch.Tensor, _module: nn.Module, given: tuple[torch.Tensor]) -> None:
    flat = given[0].flatten(0, 1)  # (tokens, keys)
    total.add_((flat.T @ flat).double())
