"""Token sequences whose beginnings a model has read once, and whose ends it reads many times.

A method that changes what happens at a token needs only that token and those after it again. Most
of a prompt, and all of a prefix, comes before.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import DynamicCache, PreTrainedModel

from evaluation.methods.weights.batch import batch_of
from evaluation.methods.weights.model import EditableModel
from server.lm.packing import TokenSequence
from server.lm.states import hidden_of


class Prefilled:
    """Sequences, each with the tokens before its place `at` read already; `at` is in its prompt.

    A pass reads the tokens from `at` on: all sequences have theirs side by side, at index 0.
    """

    def __init__(
        self, model: EditableModel, sequences: Sequence[TokenSequence], at: Sequence[int]
    ) -> None:
        self._model = model.model
        ends = [
            TokenSequence(one.tokens[start:], one.scored_from - start)
            for one, start in zip(sequences, at, strict=True)
        ]
        self.batch = batch_of(ends, model.device)
        starts = torch.tensor(at, device=model.device)
        self._width = max(at)
        columns = torch.arange(self._width, device=model.device)
        self._mask = (columns >= self._width - starts[:, None]).long()  # padded in front
        steps = torch.arange(self.batch.ids.shape[1], device=model.device)
        self._positions = starts[:, None] + steps
        self._cache = self._read(
            [one.tokens[:start] for one, start in zip(sequences, at, strict=True)]
        )

    def logits(self) -> torch.Tensor:
        """The logits of the last `batch.kept` positions: (sequences, kept, vocabulary)."""
        out = self._model(
            input_ids=self.batch.ids,
            attention_mask=torch.cat([self._mask, self.batch.mask], 1),
            position_ids=self._positions,
            use_cache=True,
            logits_to_keep=self.batch.kept,
            **{_cache_argument(self._model): copy.deepcopy(self._cache)},  # a pass adds to it
        )
        logits: torch.Tensor = out.logits
        return logits

    @torch.no_grad()
    def _read(self, beginnings: Sequence[Sequence[int]]) -> DynamicCache:
        """The beginnings' keys and values."""
        cache = DynamicCache(config=self._model.config)
        if not self._width:
            return cache
        ids = torch.zeros_like(self._mask)
        for row, tokens in enumerate(beginnings):
            if tokens:
                ids[row, -len(tokens) :] = torch.tensor(tokens)
        self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=(self._mask.cumsum(1) - 1).clamp(min=0),
            use_cache=True,
            logits_to_keep=1,
            **{_cache_argument(self._model): cache},
        )
        return cache


def _cache_argument(model: PreTrainedModel) -> str:
    """Its name changes with the version of transformers."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


@contextmanager
def added(module: nn.Module, delta: torch.Tensor) -> Iterator[None]:
    """Within, `delta` (width,) is added to what the module puts out at each sequence's index 0."""

    def add(_module: nn.Module, _given: Any, out: Any) -> Any:
        hidden = hidden_of(out)  # (sequences, tokens, width)
        changed = torch.cat([hidden[:, :1] + delta, hidden[:, 1:]], 1)
        return changed if isinstance(out, torch.Tensor) else (changed, *out[1:])

    handle = module.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


class Seen:
    """What a module was given and put out at each sequence's index 0: (sequences, width)."""

    given: torch.Tensor
    out: torch.Tensor


@contextmanager
def watched(module: nn.Module) -> Iterator[Seen]:
    """What passes through the module within, there once a pass is done."""
    seen = Seen()

    def keep(_module: nn.Module, given: Any, out: Any) -> None:
        seen.given, seen.out = given[0][:, 0].detach(), hidden_of(out)[:, 0].detach()

    handle = module.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
