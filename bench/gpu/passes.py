"""Single forward passes: how long the host takes to launch one, and the device to run it.

A pass that is done hardly later than it is launched is bound by the host: capturing it as a CUDA
graph would make it faster. A pass whose shape is new and that is slower than its repetition would
gain from lengths in buckets.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bench import workload
from bench.models import MeasuredModel, timed, wait
from server.lm.blocks import Segment
from server.lm.forward import Forward, Taps, choose_forward, wanted_nodes
from server.lm.packing import pack
from server.lm.states import StateTap
from server.lm.tokens import tokenizer_of
from server.lm.transformers_model import BLOCK_TOKENS

PROMPT_TOKENS = 45
TREES, STEPS = 8, 12
_COPIED_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Took:
    """The milliseconds until a pass was launched, and until it was done."""

    launched_ms: float
    done_ms: float


def passes(subject: MeasuredModel, n: int, streams: Sequence[int]) -> dict[str, Any]:
    """The passes of scoring `n` triples and of a step of several streams, each by its own."""
    taps = Taps(StateTap(subject.model, subject.loaded.keys.layer))
    forward = choose_forward(subject.model, BLOCK_TOKENS, taps)
    trees = [_scored(subject, concept, n) for concept in workload.subjects(TREES + 1)]
    _taken(subject, forward, trees[:1])  # warms up
    new, again = [], []
    for tree in trees[1:]:
        new.append(_taken(subject, forward, [tree]))
        again.append(_taken(subject, forward, [tree]))
    return {
        "weights_read_ms": round(_weights_read_ms(subject), 2),
        "scoring": {
            "tokens": int(statistics.median(len(tree.tokens) for tree in trees)),
            "new_shape": _median(new),
            "same_shape": _median(again),
        },
        "steps": [
            {"streams": count, **_median(_steps(subject, forward, count))} for count in streams
        ],
    }


def _scored(subject: MeasuredModel, concept: str, n: int) -> Segment:
    """The tree of all that is asked about a concept's triples."""
    loaded = subject.loaded
    tokenizer = tokenizer_of(loaded.model, loaded.tokenizer, loaded.context_tokens)
    sequences = tokenizer.sequences(workload.questions(concept, n))
    (tree,) = pack(sequences, 1 << 16)
    return Segment.of_tree(tree, wanted_nodes(tree, sequences))


def _steps(subject: MeasuredModel, forward: Forward, streams: int) -> list[Took]:
    """Steps of one token each, of all streams at once, after their prompts and one that warms."""
    token = 5
    prompt = [token] * PROMPT_TOKENS
    numbers = range(streams)
    forward.run([Segment.of_stream(s, prompt, 0, read_last=True) for s in numbers])
    took = []
    for step in range(STEPS + 1):
        at = PROMPT_TOKENS + step
        segments = [Segment.of_stream(s, [token], at, read_last=True) for s in numbers]
        took.append(_taken(subject, forward, segments))
    for stream in numbers:
        forward.forget(stream)
    return took[1:]


def _taken(subject: MeasuredModel, forward: Forward, segments: Sequence[Segment]) -> Took:
    wait(subject.model.device)
    started = time.perf_counter()
    forward.run(segments)
    launched = time.perf_counter()
    wait(subject.model.device)
    done = time.perf_counter()
    return Took((launched - started) * 1000, (done - started) * 1000)


def _median(took: Sequence[Took]) -> dict[str, float]:
    return {
        "launched_ms": round(statistics.median(t.launched_ms for t in took), 2),
        "done_ms": round(statistics.median(t.done_ms for t in took), 2),
    }


def _weights_read_ms(subject: MeasuredModel) -> float:
    """How long reading all weights once takes, by the speed of a copy: no step can be faster."""
    size = min(_COPIED_BYTES, subject.weight_bytes)
    source = torch.zeros(size, dtype=torch.uint8, device=subject.model.device)
    copy = torch.empty_like(source)
    seconds = timed(lambda: copy.copy_(source), subject.model.device)
    return subject.weight_bytes / (2 * size / seconds) * 1000
