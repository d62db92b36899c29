"""python -m bench.engine: what the probabilities of one Personalize cost, side by side with other
ways to compute them.

The same (prompt, continuation) pairs of the same queries are given to
- engine: TransformersModel.score, from texts to numbers;
- loop: one pair a forward pass, all logits, as one writes it first;
- padded: batches of pairs of like length, padded on the left, logits of the last positions alone; in the batch size that
  is fastest for the first hundred pairs;
- lm_eval: EleutherAI's HFLM.loglikelihood at batch 64 (and at 1, printed only), where the package is installed;
- floor: one dense causal forward pass over as many tokens as the engine read, with as many logits, in the row length
  that is fastest. The floor knows nothing of trees and has no answer.
All share the weights and the number format. Each has run before; then they take turns, and a figure is the median over
rounds of the seconds a query. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from bench import workload
from server.lm.attention import BLOCKS
from server.lm.device import choose_device, choose_number_format
from server.lm.folders import cache_folder
from server.lm.loading import LoadedModel, ModelChoice, load
from server.lm.tokens import Tokenizer
from server.lm.transformers_model import TransformersModel
from server.tuning.ports import Branch, ModelCost

SHAPES: dict[str, PreTrainedConfig] = {
    "gpt2": GPT2Config(),
    "gpt2-xl": GPT2Config(n_embd=1600, n_layer=48, n_head=25),
    "llama-3-8b": LlamaConfig(
        vocab_size=128_256, hidden_size=4096, intermediate_size=14_336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, max_position_embeddings=8192, rope_parameters={"rope_type": "default", "rope_theta": 5e5},
    ),
}  # fmt: skip
PADDED_SIZES = (8, 16, 32, 64)
PADDED_TRIAL = 100
"""Pairs on which the batch size is chosen."""
FLOOR_ROWS = (128, 256, 512, 1024)
HARNESS_TRIAL = 8

Pair = tuple[list[int], int]
"""A pair's tokens, and where its continuation starts."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A model under measurement."""

    name: str
    loaded: LoadedModel

    @property
    def model(self) -> PreTrainedModel:
        return self.loaded.model


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.engine", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--models", default="", help="comma-separated: default, gpt2, gpt2-xl, llama-3-8b"
    )
    parser.add_argument("--n", default="10,50,200", help="triples a query")
    parser.add_argument("--queries", type=int, default=2, help="queries of each size")
    parser.add_argument("--rounds", type=int, default=3)
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
        help="comma-separated contestants to leave out: loop, padded, lm_eval, lm_eval_1",
    )
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    device = choose_device(given.device)
    names = given.models.split(",") if given.models else ["default", "gpt2"]
    if not given.models and device.type == "cuda":
        names += ["gpt2-xl", "llama-3-8b"]
    if _harness() is None:
        print("lm_eval is not installed here: its column stays empty (pip install 'kgt[bench]')")
    results = []
    for name in names:
        subject = model_under_test(name, given.device, given.dtype)
        skipped = set(given.skip.split(","))
        results += [
            _measured(subject, int(n), given.queries, given.rounds, skipped)
            for n in given.n.split(",")
        ]
        del subject
    print(json.dumps(results))


def model_under_test(name: str, device_wanted: Any, dtype_wanted: Any) -> Subject:
    """The default model with its adapter, or random weights of a known shape with the default
    model's tokenizer."""
    choice = ModelChoice(cache=cache_folder(), device=device_wanted, number_format=dtype_wanted)
    if name == "default":
        return Subject(name, load(choice))
    tokenizer = load(replace(choice, device="cpu", adapter="none")).tokenizer
    device = choose_device(device_wanted)
    torch.manual_seed(0)
    with torch.device(device):
        number_format = choose_number_format(dtype_wanted, device)
        model = AutoModelForCausalLM.from_config(SHAPES[name], dtype=number_format).eval()
    return Subject(
        name, LoadedModel(model, tokenizer, model.config.max_position_embeddings, name, "")
    )


def _measured(
    subject: Subject, n: int, queries: int, rounds: int, skipped: set[str]
) -> dict[str, Any]:
    asked = [workload.questions(s, n) for s in workload.subjects(queries)]
    engine = TransformersModel(subject.loaded, token_budget=1 << 16)
    try:
        contestants, costs = _contestants(subject, engine, asked, skipped)
        seconds, peak = _raced(subject, contestants, rounds)
    finally:
        engine.close()
    figures = {name: took / queries for name, took in seconds.items()}
    own = figures["engine"]
    line = {
        "model": subject.name,
        "device": device_name(subject.model.device),
        "n": n,
        "tokens": {name: count // queries for name, count in costs.items()},
        "seconds": {
            name: figures.get(name) for name in ("engine", "loop", "padded", "lm_eval", "floor")
        },
        "ratios": {
            **{
                name: figures[name] / own if name in figures else None
                for name in ("loop", "padded", "lm_eval")
            },
            "floor": own / figures["floor"],
        },
        "peak_bytes": peak,
    }
    print(_row(line, figures.get("lm_eval_1"), subject.model.dtype), flush=True)
    return line


def _contestants(
    subject: Subject, engine: TransformersModel, asked: Sequence[list[Branch]], skipped: set[str]
) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
    """What is timed, by name, and how many tokens each reads for all queries. Each has run once, if
    only on a part."""
    tokenizer = Tokenizer(subject.loaded.tokenizer, subject.loaded.context_tokens)
    pairs = [
        [(list(s.tokens), s.scored_from) for s in tokenizer.sequences(branches)]
        for branches in asked
    ]
    found = [asyncio.run(engine.score(branches)) for branches in asked]
    cost = sum((scores.cost for scores in found), ModelCost())
    logits = sum(_logit_rows(query) for query in pairs)
    contestants: dict[str, Callable[[], object]] = {
        "engine": lambda: [asyncio.run(engine.score(branches)) for branches in asked],
        "floor": lambda: [
            _dense(subject.model, cost.tokens_read // len(asked), logits // len(asked))
            for _ in asked
        ],
    }
    with _attention(subject.model, "sdpa"):
        contestants["floor"]()  # finds its row length
    single = sum(len(tokens) for query in pairs for tokens, _ in query)
    costs = {"engine": cost.tokens_read, "floor": cost.tokens_read}
    if "loop" not in skipped:
        contestants["loop"] = lambda: [_loop(subject.model, query) for query in pairs]
        costs["loop"] = single
        ours = [lp.total for scores in found for row in scores.logprobs for lp in row]
        theirs = [total for query in pairs for total in _loop(subject.model, query)]
        gap = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        print(
            f"engine and loop differ by at most {gap:.2g} nats a continuation ({subject.model.dtype})"
        )
    if "padded" not in skipped:
        size = _best_padded_size(subject.model, pairs[0][:PADDED_TRIAL])
        contestants["padded"] = lambda: [_padded(subject.model, query, size) for query in pairs]
        costs["padded"] = sum(_padded_tokens(query, size) for query in pairs)
    if "lm_eval" not in skipped and _harness() is not None:
        for name, size in (("lm_eval", 64), ("lm_eval_1", 1)):
            if name not in skipped:
                contestants[name] = _harness_run(
                    subject.model, subject.loaded.tokenizer, asked, size
                )
        costs["lm_eval"] = single - sum(len(query) for query in pairs)
    return contestants, costs


def _raced(
    subject: Subject, contestants: dict[str, Callable[[], object]], rounds: int
) -> tuple[dict[str, float], int | None]:
    """(the median seconds of each contestant, the peak of memory while the engine ran)."""
    took: dict[str, list[float]] = {name: [] for name in contestants}
    peak: int | None = None
    for _ in range(rounds):
        for name, work in contestants.items():
            with _attention(subject.model, BLOCKS if name == "engine" else "sdpa"):
                if name == "engine":
                    reset_peak(subject.model.device)
                started = time.perf_counter()
                work()
                _wait(subject.model.device)
                took[name].append(time.perf_counter() - started)
                if name == "engine":
                    peak = peak_bytes(subject.model.device)
    return {name: statistics.median(times) for name, times in took.items()}, peak


@contextmanager
def _attention(model: PreTrainedModel, name: str) -> Iterator[None]:
    """The others run with transformers' own attention, so that nothing of the engine is in their
    figures."""
    model.set_attn_implementation(name)
    yield
    model.set_attn_implementation(BLOCKS)


# The contestants


def _loop(model: PreTrainedModel, pairs: Sequence[Pair]) -> list[float]:
    totals = []
    with torch.inference_mode():
        for tokens, start in pairs:
            ids = torch.tensor([tokens], device=model.device)
            logprobs = (
                model(input_ids=ids, use_cache=False)
                .logits[0, start - 1 : -1]
                .float()
                .log_softmax(-1)
            )
            totals.append(float(logprobs.gather(-1, ids[0, start:, None]).sum()))
    return totals


def _padded(model: PreTrainedModel, pairs: Sequence[Pair], size: int) -> list[float]:
    ordered = sorted(pairs, key=lambda pair: -len(pair[0]))
    totals = []
    with torch.inference_mode():
        for at in range(0, len(ordered), size):
            batch = ordered[at : at + size]
            long = max(len(tokens) for tokens, _ in batch)
            scored = max(len(tokens) - start for tokens, start in batch)
            ids = torch.tensor(
                [[0] * (long - len(tokens)) + tokens for tokens, _ in batch], device=model.device
            )
            there = torch.tensor(
                [[0] * (long - len(t)) + [1] * len(t) for t, _ in batch], device=model.device
            )
            positions = (there.cumsum(-1) - 1).clamp(min=0)
            out = model(
                input_ids=ids,
                attention_mask=there,
                position_ids=positions,
                use_cache=False,
                logits_to_keep=scored + 1,
            )
            logprobs = out.logits[:, :-1].float().log_softmax(-1)  # (batch, scored, vocabulary)
            each = logprobs.gather(-1, ids[:, -scored:, None])[..., 0]
            counted = torch.tensor(
                [[n >= scored - (len(t) - s) for n in range(scored)] for t, s in batch]
            )
            totals += (each * counted.to(each.device)).sum(-1).tolist()
    return totals


def _padded_tokens(pairs: Sequence[Pair], size: int) -> int:
    lengths = sorted((len(tokens) for tokens, _ in pairs), reverse=True)
    return sum(lengths[at] * len(lengths[at : at + size]) for at in range(0, len(lengths), size))


def _best_padded_size(model: PreTrainedModel, pairs: Sequence[Pair]) -> int:
    with _attention(model, "sdpa"):
        took = {
            size: _timed(lambda size=size: _padded(model, pairs, size), model.device)
            for size in PADDED_SIZES
        }  # type: ignore[misc]
    return min(took, key=lambda size: took[size])


def _dense(model: PreTrainedModel, tokens: int, logits: int) -> object:
    """The floor. Which row length is fastest is found once for each number of tokens."""
    key = (id(model), tokens, logits)
    if key not in _FLOOR_ROW:
        fitting = [row for row in FLOOR_ROWS if row <= model.config.max_position_embeddings]
        took = {
            row: _timed(lambda row=row: _rows(model, tokens, logits, row), model.device)
            for row in fitting
        }  # type: ignore[misc]
        _FLOOR_ROW[key] = min(took, key=lambda row: took[row])
    return _rows(model, tokens, logits, _FLOOR_ROW[key])


_FLOOR_ROW: dict[tuple[int, int, int], int] = {}


def _rows(model: PreTrainedModel, tokens: int, logits: int, row: int) -> object:
    rows = max(1, round(tokens / row))
    length = -(-tokens // rows)
    kept = torch.arange(min(length, -(-logits // rows)), device=model.device)
    with torch.inference_mode():
        ids = torch.full((rows, length), 5, device=model.device)
        return (
            model(input_ids=ids, use_cache=False, logits_to_keep=kept).logits.float().logsumexp(-1)
        )


def _logit_rows(pairs: Sequence[Pair]) -> int:
    """At how many distinct beginnings a token is predicted: what the engine reads logits for."""
    return len({tuple(tokens[:at]) for tokens, start in pairs for at in range(start, len(tokens))})


def _harness() -> Any:
    try:
        from lm_eval.models import huggingface
    except ImportError:
        return None
    return huggingface


def _harness_run(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[list[Branch]],
    size: int,
) -> Callable[[], object]:
    from lm_eval.api.instance import Instance

    peer = _harness().HFLM(pretrained=model, tokenizer=tokenizer, batch_size=size)
    requests = [
        [
            Instance(
                request_type="loglikelihood", doc={}, arguments=(branch.prompt, continuation), idx=0
            )
            for branch in branches
            for continuation in branch.continuations
        ]
        for branches in asked
    ]
    peer.loglikelihood(requests[0][:HARNESS_TRIAL], disable_tqdm=True)
    return lambda: [peer.loglikelihood(query, disable_tqdm=True) for query in requests]


# Clocks and memory


def _timed(work: Callable[[], object], device: torch.device) -> float:
    took = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        _wait(device)
        took.append(time.perf_counter() - started)
    return min(took)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif (reset := Path("/proc/self/clear_refs")).exists():
        reset.write_text("5")


def peak_bytes(device: torch.device) -> int | None:
    """Bytes: what torch allocated on a GPU, else the process's resident set (where the system
    tells)."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    found = [
        line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")
    ]
    return int(found[0]) * 1024 if found else None


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def _row(line: dict[str, Any], harness_1: float | None, dtype: torch.dtype) -> str:
    def ms(value: float | None) -> str:
        return "-" if value is None else f"{value * 1000:,.0f} ms"

    seconds = {**line["seconds"], "lm_eval at batch 1": harness_1}
    ratios = ", ".join(
        f"{name} {value:.2f}" for name, value in line["ratios"].items() if value is not None
    )
    return (
        f"{line['model']} {str(dtype).removeprefix('torch.')} N={line['n']}: "
        + ", ".join(f"{name} {ms(value)}" for name, value in seconds.items())
        + f"; tokens {line['tokens']}; ratios {ratios}"
    )


if __name__ == "__main__":
    main()
