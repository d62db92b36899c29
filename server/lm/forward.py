"""Forward passes over trees and generations together.

They share a pass, with attention in blocks, where the model allows it. Otherwise each has its own.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from server.lm.attention import (
    BLOCKS,
    BlockPlan,
    KeptKeys,
    UnsupportedAttention,
    additive,
    register,
)
from server.lm.blocks import Segment, lay_out
from server.lm.fused import can_be_fused, fuse, unfuse
from server.lm.packing import Indices, TokenSequence, Tree, pack
from server.lm.states import States, StateTap
from server.lm.template_adapter import TemplateAdapter

LOGIT_ROWS = 256
"""Logits are held in float32 for so many positions at once: 50 MB for 50,000 tokens."""

_log = logging.getLogger("kgt")


@dataclass(frozen=True, slots=True)
class Results:
    """What a pass found, segment by segment: logits (read, vocabulary), states (keyed, width).

    `number` is the pass's, counted by the worker.
    """

    logits: torch.Tensor
    states: torch.Tensor
    number: int = 0


@dataclass(frozen=True, slots=True)
class Taps:
    """What looks into a pass while it runs: the reader of states, and the template's adapter."""

    states: StateTap
    adapter: TemplateAdapter | None = None

    @contextmanager
    def during(self, keyed: Indices, learning: Indices) -> Iterator[States]:
        """The states of the `keyed` tokens. Those in `learning` are read with the adapter."""
        adapted = self.adapter.applied(learning) if self.adapter else nullcontext()
        with self.states.reading(keyed) as states, adapted:
            yield states


class Forward(Protocol):
    """Runs forward passes, and keeps what the tokens of a stream leave for those after them.

    A stream is a generation, by its number. `takes_drafts` says whether what a stream reads may end
    in a tree.
    """

    takes_drafts: bool

    def run(self, segments: Sequence[Segment]) -> Results:
        """The logits after the segments' `read` tokens, and the states of the `keyed` ones."""
        ...

    def keep(self, segment: Segment, places: Indices) -> None:
        """Of what the stream read last, which is `segment`, keep only the tokens at `places`."""
        ...

    def forget(self, stream: int) -> None:
        """Free what is kept of a stream."""
        ...


class BlockForward:
    """All segments in one row, with attention in blocks."""

    takes_drafts = True

    def __init__(self, model: PreTrainedModel, block_tokens: int, taps: Taps) -> None:
        self._model = model
        self._block_tokens = block_tokens
        self._taps = taps
        self._kept = KeptKeys()
        self._slots: dict[int, Indices] = {}

    def run(self, segments: Sequence[Segment]) -> Results:
        slots = {s.stream: self._slots_with(s) for s in segments if s.stream is not None}
        layout = lay_out(segments, slots, self._block_tokens)
        device, number_format = self._model.device, self._model.dtype
        with torch.inference_mode(), self._taps.during(layout.keyed, layout.learning) as states:
            out = self._model(
                input_ids=torch.from_numpy(layout.tokens)[None].to(device),
                position_ids=torch.from_numpy(layout.positions)[None].to(device),
                # A mask of four dimensions keeps transformers from making one. The plan holds the
                # real masks.
                attention_mask=torch.zeros(1, 1, 1, 1, dtype=number_format, device=device),
                use_cache=False,
                logits_to_keep=torch.from_numpy(layout.read).to(device),
                block_plan=BlockPlan(layout, self._kept, device, number_format),
            )
        return Results(out.logits[0], states.found)

    def keep(self, segment: Segment, places: Indices) -> None:
        assert segment.stream is not None
        slots, start = self._slots[segment.stream], int(segment.positions[0])
        last = slots[start:]
        self._slots[segment.stream] = np.concatenate([slots[:start], last[places]])
        self._kept.give_back(np.delete(last, places))

    def forget(self, stream: int) -> None:
        slots = self._slots.pop(stream, None)
        if slots is not None:
            self._kept.give_back(slots)

    def _slots_with(self, segment: Segment) -> Indices:
        """The slots of a stream with its new tokens. A repeated pass gets the same slots again."""
        assert segment.stream is not None
        slots = self._slots.get(segment.stream, np.zeros(0, dtype=np.int64))
        wanted = int(segment.positions[0]) + len(segment.tokens)
        if len(slots) < wanted:
            slots = np.concatenate([slots, self._kept.take(wanted - len(slots))])
            self._slots[segment.stream] = slots
        return slots[:wanted]


class MaskedForward:
    """One segment a pass, with a square mask and transformers' own cache.

    For models whose attention cannot be replaced. Their caches may forget old tokens by a rule of
    their own, so nothing can be taken out of them again, and drafts are not used.
    """

    takes_drafts = False

    def __init__(self, model: PreTrainedModel, taps: Taps) -> None:
        self._model = model
        self._taps = taps
        self._caches: dict[int, DynamicCache] = {}
        # Since transformers 5.24 some models call it `cache`
        self._cache = (
            "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
        )

    def run(self, segments: Sequence[Segment]) -> Results:
        each = [self._one(segment) for segment in segments]
        states = [one.states for one in each if len(one.states)]
        logits = torch.cat([one.logits for one in each])
        return Results(logits, torch.cat(states) if states else each[0].states)

    def keep(self, segment: Segment, places: Indices) -> None:
        raise AssertionError("a stream without drafts keeps all that it read")

    def forget(self, stream: int) -> None:
        self._caches.pop(stream, None)

    def _one(self, segment: Segment) -> Results:
        device = self._model.device
        given: dict[str, Any] = {
            "input_ids": torch.from_numpy(segment.tokens)[None].to(device),
            "position_ids": torch.from_numpy(segment.positions)[None].to(device),
            "logits_to_keep": torch.from_numpy(segment.read).to(device),
        }
        if segment.stream is not None:
            cache = self._cache_of(segment.stream, int(segment.positions[0]))
            given |= {self._cache: cache, "use_cache": True}
        else:
            mask = Tree(segment.tokens, segment.positions, segment.ends, ()).mask()
            four = additive(mask, device, self._model.dtype)[None, None]
            given |= {"attention_mask": four, "use_cache": False}
        learning = np.arange(len(segment.tokens) if segment.learning else 0)
        with torch.inference_mode(), self._taps.during(segment.keyed, learning) as states:
            out = self._model(**given)
        return Results(out.logits[0], states.found)

    def _cache_of(self, stream: int, start: int) -> DynamicCache:
        """The cache of the tokens before `start`, without what a broken-off pass left behind."""
        cache = self._caches.get(stream)
        if cache is None:
            cache = self._caches[stream] = DynamicCache(config=self._model.config)
        for layer in cache.layers:
            extra = layer.get_seq_length() - start
            if extra > 0:
                layer.crop(-extra)
        return cache


def choose_forward(model: PreTrainedModel, block_tokens: int, taps: Taps) -> Forward:
    """BlockForward where a trial gives the model's own numbers, else MaskedForward.

    The model's layers are fused where they can be, and where that gives its own numbers too.
    """
    register()
    plain = MaskedForward(model, taps)
    if not model._can_set_attn_implementation():
        return plain
    before = model.config._attn_implementation
    trial = _Trial(plain)

    def blocks() -> Forward:
        model.set_attn_implementation(BLOCKS)
        return BlockForward(model, 3, taps)

    def fused() -> Forward:
        fuse(model)
        return BlockForward(model, 3, taps)

    if fault := trial.fault(blocks):
        model.set_attn_implementation(before)
        _log.warning("this model's attention is not replaced (%s): requests run one by one", fault)
        return plain
    if can_be_fused(model) and (fault := trial.fault(fused)):
        unfuse(model)
        _log.warning("this model's layers are not fused (%s): a token takes longer", fault)
    return BlockForward(model, block_tokens, taps)


class _Trial:
    """A pass over a small tree of arbitrary tokens, and what the model's own code makes of it."""

    def __init__(self, plain: MaskedForward) -> None:
        texts = ((2, 3, 4, 5, 6, 0), (2, 3, 4, 7, 8, 0), (2, 9, 3, 0))
        (tree,) = pack([TokenSequence(tokens, 1) for tokens in texts], 99)
        self._segment = Segment.of_tree(tree, np.arange(len(tree.tokens)))
        logits = plain.run([self._segment]).logits
        self._expected = logits.float()
        # A thousandth of the largest logit, or what the number format resolves
        least = max(1e-3, 4 * torch.finfo(logits.dtype).eps)
        self._tolerance = least * float(self._expected.abs().max())

    def fault(self, make: Callable[[], Forward]) -> str | None:
        """Why what `make` gives cannot be used; None where it gives the same numbers."""
        try:
            found = make().run([self._segment]).logits.float()
        except (
            UnsupportedAttention,
            TypeError,
            ValueError,
            AttributeError,
            IndexError,
            RuntimeError,
        ) as error:
            return f"{type(error).__name__}: {error}"
        same = float((found - self._expected).abs().max()) <= self._tolerance
        return None if same else "a trial gave other numbers"


def wanted_nodes(tree: Tree, sequences: Sequence[TokenSequence]) -> Indices:
    """The tokens of a tree after which a continuation's token is predicted, ascending."""
    wanted = [n for number, path in tree.paths for n in path[sequences[number].scored_from - 1 :]]
    return np.unique(np.array(wanted, dtype=np.int64))


def continuation_logprobs(
    logits: torch.Tensor, tree: Tree, sequences: Sequence[TokenSequence]
) -> Iterable[tuple[int, float]]:
    """The log-probability of each sequence's continuation, as (index of the sequence, sum).

    logits: (wanted nodes, vocabulary). The softmax is computed in float32.
    """
    row_of = {int(node): row for row, node in enumerate(wanted_nodes(tree, sequences))}
    pairs: dict[tuple[int, int], int] = {}
    predictions = []
    for number, path in tree.paths:
        sequence = sequences[number]
        nodes = path[sequence.scored_from - 1 :]
        keys = zip((row_of[n] for n in nodes), sequence.tokens[sequence.scored_from :], strict=True)
        predictions.append((number, [pairs.setdefault(key, len(pairs)) for key in keys]))
    values = _logprobs(logits, list(pairs))
    for number, indices in predictions:
        yield number, float(np.sum([values[n] for n in indices]))


def _logprobs(logits: torch.Tensor, pairs: Sequence[tuple[int, int]]) -> list[float]:
    """ln P(token) in a row of `logits`, for each (row, token)."""
    if not pairs:
        return []
    with torch.inference_mode():
        rows, tokens = (
            torch.tensor(part, device=logits.device) for part in zip(*pairs, strict=True)
        )
        normalizers = torch.cat(
            [
                logits[at : at + LOGIT_ROWS].float().logsumexp(-1)
                for at in range(0, len(logits), LOGIT_ROWS)
            ]
        )  # (rows,)
        values: list[float] = (logits[rows, tokens].float() - normalizers[rows]).tolist()
    return values
