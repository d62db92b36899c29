"""One token's step and one packed pass, compared with llama.cpp on the same weights.

The step is that of one stream, greedy, after a prompt. The pass reads the packed tree of one
Personalize's questions; llama.cpp reads as many tokens in one causal row, with as many logits.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench import workload
from bench.llama import WEIGHT_FORMATS, LlamaCpp, llama_cpp, written
from bench.models import MeasuredModel, device_name, wait
from server.lm.blocks import Segment
from server.lm.device import name_of
from server.lm.forward import Taps, choose_forward, wanted_nodes
from server.lm.packing import pack
from server.lm.states import StateTap
from server.lm.tokens import Tokenizer
from server.lm.transformers_model import BLOCK_TOKENS
from server.tuning.templates import reasoning_prompt

STEPS = 32
TRIPLES = 50
"""So many triples make a tree of about 500 tokens."""


@dataclass(frozen=True, slots=True)
class Work:
    """What every contestant reads: a prompt to be continued, and the tree of one Personalize."""

    prompt: list[int]
    tree: Segment

    @property
    def row(self) -> list[int]:
        return [int(token) for token in self.tree.tokens]

    @property
    def logits(self) -> int:
        return len(self.tree.read)


@dataclass(frozen=True, slots=True)
class Contestant:
    """`read` reads the tree; `start` reads the prompt, and `step` continues it by one token."""

    read: Callable[[], object]
    start: Callable[[], object]
    step: Callable[[int], int]


def measured(subject: MeasuredModel, rounds: int, peers: bool) -> dict[str, Any]:
    """The figures of one model; llama.cpp's too if `peers` and where it is installed."""
    work = _work(subject)
    steps: dict[str, list[float]] = {}
    passes: dict[str, list[float]] = {}
    with _contestants(subject, work, peers) as contestants:
        for _ in range(rounds + 1):
            for name, one in contestants.items():
                passes.setdefault(name, []).append(_seconds(one.read, subject))
                steps.setdefault(name, []).extend(_steps(one, subject))
    # The first round warms up
    pass_ms = {name: 1000 * statistics.median(took[1:]) for name, took in passes.items()}
    step_ms = {name: 1000 * statistics.median(took[STEPS:]) for name, took in steps.items()}
    line = {
        "model": subject.name,
        "device": device_name(subject.model.device),
        "streams": 1,
        "number_format": name_of(subject.model.dtype),
        "packed_tokens": len(work.row),
        "packed_logits": work.logits,
        "pass_ms": pass_ms,
        "step_ms": step_ms,
        "tokens_a_second": {name: 1000 / ms for name, ms in step_ms.items()},
    }
    _print(line)
    return line


def _work(subject: MeasuredModel) -> Work:
    tokenizer = Tokenizer(subject.loaded.tokenizer, subject.loaded.context_tokens)
    (name,) = workload.subjects(1)
    facts = [z.tail.text for z in workload.triples(name, 3)]
    prompt = tokenizer.prompt(reasoning_prompt(workload.query(name), facts))
    sequences = tokenizer.sequences(workload.questions(name, TRIPLES))
    (tree,) = pack(sequences, 1 << 16)
    return Work(prompt, Segment.of_tree(tree, wanted_nodes(tree, sequences)))


@contextmanager
def _contestants(
    subject: MeasuredModel, work: Work, peers: bool
) -> Iterator[dict[str, Contestant]]:
    contestants = {"engine": _engine(subject, work)}
    if not peers or llama_cpp() is None or subject.model.config.model_type != "llama":
        if peers:
            print("llama.cpp is not compared (not a Llama model, or no llama-cpp-python)")
        yield contestants
        return
    own = name_of(subject.model.dtype)
    wanted = [form for form in WEIGHT_FORMATS if form == own or form.startswith("Q")]
    opened = []
    with tempfile.TemporaryDirectory() as folder:
        for form in wanted:
            file = written(subject.model, form, Path(folder))
            peer = LlamaCpp(file, len(work.row) + STEPS, torch.get_num_threads())
            opened.append(peer)
            contestants[f"llama.cpp {form}"] = _peer(peer, work)
        yield contestants
        for peer in opened:
            peer.close()


def _engine(subject: MeasuredModel, work: Work) -> Contestant:
    taps = Taps(StateTap(subject.model, subject.loaded.keys.layer))
    forward = choose_forward(subject.model, BLOCK_TOKENS, taps)
    position = 0

    def start() -> None:
        nonlocal position
        forward.forget(1)
        forward.run([Segment.of_stream(1, work.prompt, 0, read_last=True)])
        position = len(work.prompt)

    def step(token: int) -> int:
        nonlocal position
        segment = Segment.of_stream(1, [token], position, read_last=True)
        position += 1
        return int(forward.run([segment]).logits[0].argmax())

    return Contestant(lambda: forward.run([work.tree]), start, step)


def _peer(peer: LlamaCpp, work: Work) -> Contestant:
    return Contestant(
        lambda: peer.read(work.row, work.logits), lambda: peer.read(work.prompt), peer.step
    )


def _steps(one: Contestant, subject: MeasuredModel) -> list[float]:
    """Seconds of each of STEPS steps."""
    one.start()
    token, took = 0, []
    for _ in range(STEPS):
        started = time.perf_counter()
        token = one.step(token)
        wait(subject.model.device)
        took.append(time.perf_counter() - started)
    return took


def _seconds(run: Callable[[], object], subject: MeasuredModel) -> float:
    started = time.perf_counter()
    run()
    wait(subject.model.device)
    return time.perf_counter() - started


def _print(line: dict[str, Any]) -> None:
    head = f"{line['model']} {line['number_format']}, {line['device']}"
    for name in line["step_ms"]:
        print(
            f"{head}: {name}: {line['step_ms'][name]:.1f} ms a token,"
            f" {line['tokens_a_second'][name]:.1f} tokens a second;"
            f" {line['packed_tokens']} tokens in one pass {line['pass_ms'][name]:,.0f} ms",
            flush=True,
        )
