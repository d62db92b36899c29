"""python -m bench.gpu: measures the service with large models on a GPU.

The models have random weights in the shapes of Llama-3-8B and GPT-2-XL, in bfloat16, and a
tokenizer that is made on the spot, so nothing is downloaded. What they generate is told
(bench.gpu.told). For each:
- personalize: corrections of concepts with 50 triples, with relations ranked (nothing is generated,
  one forward pass) and generated (as the service does by default, verified);
- answers: how many a second, for 1, 32 and 128 clients at once;
- passes: single forward passes, by the host's and by the device's time;
- scoring: bench.engine's contestants for 50 triples, and vLLM's prompt_logprobs if an interpreter
  that has vLLM is there or named;
- memory at its peak, in times of the weights.
It prints a table for docs/performance.md. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bench import engine, workload
from bench.gpu.calls import Plan, calls
from bench.gpu.passes import passes
from bench.gpu.peer import PeerQuestion, python_with_vllm, vllm_seconds
from bench.gpu.table import table
from bench.models import (
    MeasuredModel,
    device_name,
    free_bytes,
    random_weights,
    release,
    shape_bytes,
)
from bench.words import word_tokenizer
from server.lm.device import name_of
from server.lm.tokens import tokenizer_of

LARGE, TINY = "llama-3-8b,gpt2-xl", "tiny-llama,tiny-gpt2"
LIMIT_S, VLLM_LIMIT_S = 360.0, 100.0
"""Calls end after the first. vLLM, which comes last, may take the second for each model."""
WORKING_BYTES = 2 << 30
"""What passes need besides the weights, roughly."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each model that fits the device, and print the figures."""
    given = _parser().parse_args(arguments)
    names = (given.models or (LARGE if given.device == "cuda" else TINY)).split(",")
    if given.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit(without_a_gpu(names))
    device, over = torch.device(given.device), time.monotonic() + given.limit
    lines, questions = [], []
    for name in names:
        if reason := lacking(name, free_bytes(device)):
            print(f"{name} is left out: {reason}")
            continue
        line, question = _measured(name, given, lambda: time.monotonic() >= over)
        print(json.dumps(line), flush=True)  # it is kept whatever comes next
        lines.append(line)
        questions.append(question)
        release(device)
    if given.vllm:
        _ask_vllm(given.vllm, lines, questions)
    else:
        print("vLLM is not installed here, and --vllm names no Python that has it")
    print(table(lines))
    print(json.dumps(lines))
    if not lines or any(line["failed"] for line in lines):
        sys.exit(1)


def _ask_vllm(
    python: str, lines: Sequence[dict[str, Any]], questions: Sequence[PeerQuestion]
) -> None:
    """Add vLLM's seconds to the lines where it answers in time."""
    for line, question in zip(lines, questions, strict=True):
        seconds = vllm_seconds(python, question, VLLM_LIMIT_S)
        if seconds is not None:
            line.setdefault("scoring", {"seconds": {}})["seconds"]["vllm"] = seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--models", default="", help=f"comma-separated; {LARGE} if not given")
    parser.add_argument(
        "--device",
        default="cuda",
        choices=["cuda", "cpu"],
        help=f"cpu runs the same with {TINY}, to try it; its figures mean nothing",
    )
    parser.add_argument("--n", type=int, default=50, help="triples of each concept")
    parser.add_argument("--corrections", type=int, default=100, help="of each kind of relations")
    parser.add_argument("--streams", default="1,32,128", help="numbers of Answers at once")
    parser.add_argument("--answers", type=int, default=40, help="the fewest Answers in a run")
    parser.add_argument("--rounds", type=int, default=3, help="how often scoring is timed")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds without vLLM")
    parser.add_argument(
        "--vllm", default=python_with_vllm(), help="a Python that has vLLM, in an environment of it"
    )
    return parser


def without_a_gpu(names: Sequence[str]) -> str:
    """What a machine without a GPU is told: what is missing, and what else can be done."""
    built_for = torch.version.cuda
    why = f"built for CUDA {built_for}" if built_for else "built without CUDA: install another"
    needed = "\n".join(f"  {name}: {_gigabytes(_needed_bytes(name))}" for name in names)
    return (
        f"No GPU was found, so nothing was measured (torch {torch.__version__}, {why}).\n"
        "This measurement needs an NVIDIA GPU that computes in bfloat16, its driver, ten minutes,"
        f" no network, and so much free memory of the GPU:\n{needed}\n"
        "On the processor, --device cpu tries all of it with tiny models."
    )


def lacking(name: str, free: int | None) -> str:
    """What a model lacks on a device with `free` bytes; empty if it fits, or that is not known."""
    needed = _needed_bytes(name)
    if free is None or free >= needed:
        return ""
    return f"it needs {_gigabytes(needed)}, and {_gigabytes(free)} are free"


def _needed_bytes(name: str) -> int:
    return shape_bytes(name, torch.bfloat16) + WORKING_BYTES


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


@dataclass(slots=True)
class Measuring:
    """The parts of a model's measurement. One that fails costs none of the others' figures."""

    line: dict[str, Any]

    def part(self, name: str, work: Callable[[], dict[str, Any]]) -> None:
        """Add to the line what `work` finds, or the name of what failed."""
        started = time.monotonic()
        try:
            self.line |= work()
        except Exception:
            traceback.print_exc(file=sys.stdout)
            self.line["failed"].append(name)
        took_s = time.monotonic() - started
        print(f"{self.line['model']}: {name} took {took_s:.0f} s", flush=True)


def _measured(
    name: str, given: argparse.Namespace, is_over: Callable[[], bool]
) -> tuple[dict[str, Any], PeerQuestion]:
    """A model's figures, and what vLLM is to be asked."""
    subject = random_weights(name, word_tokenizer(), given.device, "bfloat16")
    streams = [int(count) for count in given.streams.split(",")]
    plan = Plan(given.n, given.corrections, streams, given.answers, is_over)
    of_model = Measuring(
        {
            "model": name,
            "device": device_name(subject.model.device),
            "number_format": name_of(subject.model.dtype),
            "n": given.n,
            "weight_bytes": subject.weight_bytes,
            "failed": [],
        }
    )
    of_model.part("calls", lambda: asyncio.run(calls(subject, plan)))
    of_model.part("passes", lambda: {"passes": passes(subject, given.n, streams)})
    of_model.part("scoring", lambda: {"scoring": _scoring(subject, given)})
    return of_model.line, _question(subject, given)


def _scoring(subject: MeasuredModel, given: argparse.Namespace) -> dict[str, Any]:
    """bench.engine's figures: this engine, one pair a pass, padded batches, and the floor."""
    found = engine.measured(subject, given.n, 1, given.rounds, {"lm_eval", "lm_eval_1"})
    seconds = {name: s for name, s in found["seconds"].items() if s is not None}
    return {"tokens": found["tokens"], "seconds": seconds}


def _question(subject: MeasuredModel, given: argparse.Namespace) -> PeerQuestion:
    loaded = subject.loaded
    tokenizer = tokenizer_of(loaded.model, loaded.tokenizer, loaded.context_tokens)
    asked = workload.questions(workload.subjects(1)[0], given.n)
    texts = [tokens for tokens, _ in engine.pairs_of(tokenizer, asked)]
    return PeerQuestion.about(subject.model, texts, given.rounds)


if __name__ == "__main__":
    main()
