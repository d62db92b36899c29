"""python -m bench.generation: several generations at once, by this engine and by transformers'
continuous batching.

The same prompts, greedy, the same number of tokens each, the default model in the format that the
service takes. Also transformers' `generate`, one prompt after the other. The last line is JSON: a
list of {"model","device","streams","tokens","seconds":{"engine","continuous_batching","generate"}}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from bench import workload
from bench.engine import SHAPES, model_under_test
from server.lm.attention import BLOCKS
from server.lm.tokens import Tokenizer
from server.lm.transformers_model import TransformersModel
from server.tuning.ports import GenerateRequest

PROMPT = "Answer the query considering the user's personalized facts. <question>: {query} <facts>: {facts} <answer>:"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.generation", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--model", default="default", choices=["default", *SHAPES])
    parser.add_argument("--streams", default="1,8,32")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    results = [
        _measured(given.model, int(streams), given.tokens) for streams in given.streams.split(",")
    ]
    print(json.dumps(results))


def _measured(name: str, streams: int, tokens: int) -> dict[str, Any]:
    subject = model_under_test(name, "auto", "auto")
    model = subject.model
    tokenizer = Tokenizer(subject.loaded.tokenizer, subject.loaded.context_tokens)
    prompts = [
        PROMPT.format(
            query=workload.query(s),
            facts="; ".join(str(z.tail.text) for z in workload.triples(s, 3)),
        )
        for s in workload.subjects(streams)
    ]
    inputs = [tokenizer.prompt(prompt) for prompt in prompts]
    asked = GenerationConfig(
        max_new_tokens=tokens, do_sample=False, eos_token_id=-1, pad_token_id=0
    )
    engine = TransformersModel(subject.loaded, streams=streams)
    engine._ends = frozenset()  # every contestant writes all of its tokens

    def ours() -> object:
        return asyncio.run(_all(engine, prompts, tokens))

    def batched() -> object:
        small = ContinuousBatchingConfig(num_blocks=64, max_batch_tokens=2048)
        return model.generate_batch(inputs, asked, continuous_batching_config=small, warmup=False)

    def one_by_one() -> object:
        with torch.inference_mode():
            return [
                model.generate(torch.tensor([ids], device=model.device), generation_config=asked)
                for ids in inputs
            ]

    contestants = {
        "engine": (BLOCKS, ours),
        "continuous_batching": ("sdpa", batched),
        "generate": ("sdpa", one_by_one),
    }
    seconds: dict[str, float | None] = {}
    for contestant, (attention, work) in contestants.items():
        model.set_attn_implementation(attention)
        seconds[contestant] = _best(contestant, work)
    engine.close()
    line = {
        "model": name,
        "device": model.device.type,
        "streams": streams,
        "tokens": tokens,
        "seconds": seconds,
    }
    print(line, flush=True)
    return line


async def _all(engine: TransformersModel, prompts: Sequence[str], tokens: int) -> list[str]:
    async def one(prompt: str) -> str:
        return "".join(
            [p.text async for p in engine.generate(GenerateRequest(prompt, tokens, stop=()))]
        )

    return await asyncio.gather(*(one(prompt) for prompt in prompts))


def _best(name: str, work: Callable[[], object]) -> float | None:
    """Seconds, the best of two after a first; None where it does not run."""
    took = []
    for _ in range(3):
        started = time.perf_counter()
        try:
            work()
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            print(f"{name} does not run here: {type(error).__name__}: {error}")
            return None
        took.append(time.perf_counter() - started)
    return min(took[1:])


if __name__ == "__main__":
    main()
