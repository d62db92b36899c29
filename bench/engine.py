"""python -m bench.engine: compares ways to compute the probabilities of one Personalize.

The same (prompt, continuation) pairs of the same queries are given to
- engine: TransformersModel.score, from texts to numbers;
- loop: one pair a forward pass, with all logits, as one writes it first;
- padded: batches of pairs of similar length, padded on the left, with only the last positions'
  logits, in the batch size that is fastest for the first hundred pairs;
- lm_eval: EleutherAI's HFLM.loglikelihood at batch 64 (and at 1, printed only), if installed;
- floor: one dense causal forward pass over as many tokens as the engine read, with as many logits,
  in the row length that is fastest. The floor knows nothing of trees and has no answer.
All share the weights and the number format. Each has run before they take turns, and a figure is
the median over rounds of the seconds a query. One token's step and one packed pass follow, compared
with llama.cpp (bench.step).

With the default model, whole requests follow (bench.requests): the Answers and Personalizes of some
everyday cases, with drafts and without. `--checkout FOLDER` compares with another version. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from bench import against, requests, step, workload
from bench.contestants import (
    Floor,
    Pair,
    best_padded_size,
    harness,
    harness_run,
    logit_rows,
    loop,
    padded,
    padded_tokens,
)
from bench.models import (
    MeasuredModel,
    attention,
    device_name,
    load_measured,
    peak_bytes,
    reset_peak,
    wait,
)
from server.lm.attention import BLOCKS
from server.lm.device import choose_device, name_of
from server.lm.tokens import Tokenizer
from server.lm.transformers_model import TransformersModel
from server.tuning.ports import Branch, ModelCost, Scores

PADDED_TRIAL = 100
"""Pairs on which the batch size is chosen."""


@dataclass(slots=True)
class Contestants:
    """What is timed, by name, and how many tokens each reads for all queries."""

    runs: dict[str, Callable[[], object]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.checkout:
        against.compare("bench.engine", arguments)
        return
    if given.threads:
        torch.set_num_threads(given.threads)
    device = choose_device(given.device)
    names = given.models.split(",") if given.models else ["default", "gpt2"]
    if not given.models and device.type == "cuda":
        names += ["gpt2-xl", "llama-3-8b"]
    if harness() is None:
        print("lm_eval is not installed, so its column is empty (pip install 'kgt[bench]')")
    skipped = set(given.skip.split(","))
    results = []
    for name in names:
        subject = load_measured(name, given.device, given.dtype)
        results += [
            measured(subject, int(n), given.queries, given.rounds, skipped)
            for n in given.n.split(",")
            if n
        ]
        if "step" not in skipped:
            results.append(step.measured(subject, given.rounds, "llama.cpp" not in skipped))
        if name == "default" and given.cases:
            results += requests.measured(subject, given.cases)
        del subject  # the next one needs its memory
    print(json.dumps(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.engine",
        description=(__doc__ or "").partition("\n")[0],
        parents=[against.options()],
    )
    parser.add_argument(
        "--models", default="", help="comma-separated: default, gpt2, gpt2-xl, llama-3-8b"
    )
    parser.add_argument("--n", default="10,50,200", help="triples a query; empty for none")
    parser.add_argument("--queries", type=int, default=2, help="queries of each size")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed")
    parser.add_argument("--cases", type=int, default=24, help="whole requests; 0 for none")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument(
        "--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"]
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="processor threads; 0 is torch's choice"
    )
    parser.add_argument(
        "--skip",
        default="",
        help="comma-separated contestants to leave out: loop, padded, lm_eval, lm_eval_1, step,"
        " llama.cpp",
    )
    return parser


def measured(
    subject: MeasuredModel, n: int, queries: int, rounds: int, skipped: set[str]
) -> dict[str, Any]:
    """A line of figures about `n` triples: all contestants take turns but those `skipped`."""
    asked = [workload.questions(s, n) for s in workload.subjects(queries)]
    engine = TransformersModel(subject.loaded, token_budget=1 << 16)
    try:
        contestants = _contestants(subject, engine, asked, skipped)
        seconds, peak = _raced(subject, contestants.runs, rounds)
    finally:
        engine.close()
    took = {name: total / queries for name, total in seconds.items()}
    ratios = {name: took[name] / took["engine"] for name in took}
    line = {
        "model": subject.name,
        "device": device_name(subject.model.device),
        "n": n,
        "tokens": {name: count // queries for name, count in contestants.tokens.items()},
        "seconds": {
            name: took.get(name) for name in ("engine", "loop", "padded", "lm_eval", "floor")
        },
        "ratios": {
            **{name: ratios.get(name) for name in ("loop", "padded", "lm_eval")},
            "floor": took["engine"] / took["floor"],
        },
        "peak_bytes": peak,
    }
    print(_row(line, took.get("lm_eval_1"), subject.model.dtype), flush=True)
    return line


def _contestants(
    subject: MeasuredModel,
    engine: TransformersModel,
    asked: Sequence[list[Branch]],
    skipped: set[str],
) -> Contestants:
    """All that are not skipped. Each has run once, if only on a part."""
    model = subject.model
    tokenizer = Tokenizer(subject.loaded.tokenizer, subject.loaded.context_tokens)
    pairs = [pairs_of(tokenizer, branches) for branches in asked]
    found = [asyncio.run(engine.score(branches)) for branches in asked]
    read = sum((scores.cost for scores in found), ModelCost()).tokens_read
    logits = sum(logit_rows(query) for query in pairs)
    floor = Floor(model, read // len(asked), logits // len(asked))
    racing = Contestants()
    racing.runs["engine"] = lambda: [asyncio.run(engine.score(branches)) for branches in asked]
    racing.runs["floor"] = lambda: [floor.run() for _ in asked]
    racing.tokens.update(engine=read, floor=read)
    single = sum(len(tokens) for query in pairs for tokens, _ in query)
    if "loop" not in skipped:
        racing.runs["loop"] = lambda: [loop(model, query) for query in pairs]
        racing.tokens["loop"] = single
        _print_gap(subject, found, pairs)
    if "padded" not in skipped:
        size = best_padded_size(model, pairs[0][:PADDED_TRIAL])
        racing.runs["padded"] = lambda: [padded(model, query, size) for query in pairs]
        racing.tokens["padded"] = sum(padded_tokens(query, size) for query in pairs)
    if "lm_eval" not in skipped and harness() is not None:
        for name, size in (("lm_eval", 64), ("lm_eval_1", 1)):
            if name not in skipped:
                racing.runs[name] = harness_run(model, subject.loaded.tokenizer, asked, size)
        racing.tokens["lm_eval"] = single - sum(len(query) for query in pairs)
    return racing


def pairs_of(tokenizer: Tokenizer, branches: Sequence[Branch]) -> list[Pair]:
    """Each continuation of `branches` with its prompt, in tokens."""
    return [(list(s.tokens), s.scored_from) for s in tokenizer.sequences(branches)]


def _print_gap(
    subject: MeasuredModel, found: Sequence[Scores], pairs: Sequence[Sequence[Pair]]
) -> None:
    """Tell by how much the engine's numbers differ from the loop's."""
    ours = [lp.total for scores in found for row in scores.logprobs for lp in row]
    theirs = [total for query in pairs for total in loop(subject.model, query)]
    gap = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    dtype = subject.model.dtype
    print(f"engine and loop differ by at most {gap:.2g} nats a continuation ({dtype})")


def _raced(
    subject: MeasuredModel, runs: dict[str, Callable[[], object]], rounds: int
) -> tuple[dict[str, float], int | None]:
    """(the median seconds of each contestant, the peak of memory while the engine ran)."""
    device = subject.model.device
    took: dict[str, list[float]] = {name: [] for name in runs}
    peak: int | None = None
    for _ in range(rounds):
        for name, run in runs.items():
            with attention(subject.model, BLOCKS if name == "engine" else "sdpa"):
                if name == "engine":
                    reset_peak(device)
                started = time.perf_counter()
                run()
                wait(device)
                took[name].append(time.perf_counter() - started)
                if name == "engine":
                    peak = peak_bytes(device)
    return {name: statistics.median(times) for name, times in took.items()}, peak


def _row(line: dict[str, Any], harness_1: float | None, dtype: torch.dtype) -> str:
    def ms(value: float | None) -> str:
        return "-" if value is None else f"{value * 1000:,.0f} ms"

    seconds = {**line["seconds"], "lm_eval at batch 1": harness_1}
    known = {name: value for name, value in line["ratios"].items() if value is not None}
    times = ", ".join(f"{name} {ms(value)}" for name, value in seconds.items())
    ratios = ", ".join(f"{name} {value:.2f}" for name, value in known.items())
    head = f"{line['model']} {name_of(dtype)} N={line['n']}"
    return f"{head}: {times}; tokens {line['tokens']}; ratios {ratios}"


if __name__ == "__main__":
    main()
