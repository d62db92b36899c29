"""python -m bench.generation: compares this engine with transformers at generating.

All continue the same prompts greedily, by the same number of tokens, with the default model in the
number format that the service uses: the engine, transformers' continuous batching, and its
`generate`, one prompt after the other. `--checkout FOLDER` compares with another version. The last
line is JSON: a list of {"model","device","streams","tokens","seconds"}, where "seconds" has
"engine", "continuous_batching" and "generate".
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

from bench import against, workload
from bench.models import SHAPES, load_measured
from server.lm.attention import BLOCKS
from server.lm.tokens import Tokenizer
from server.lm.transformers_model import TransformersModel
from server.tuning.ports import GenerateRequest
from server.tuning.templates import reasoning_prompt


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.generation",
        description=(__doc__ or "").partition("\n")[0],
        parents=[against.options()],
    )
    parser.add_argument("--model", default="default", choices=["default", *SHAPES])
    parser.add_argument("--streams", default="1,8,32", help="numbers of generations at once")
    parser.add_argument("--tokens", type=int, default=32, help="tokens of each generation")
    parser.add_argument(
        "--threads", type=int, default=0, help="processor threads; 0 is torch's choice"
    )
    given = parser.parse_args(arguments)
    if given.checkout:
        against.compare("bench.generation", arguments)
        return
    if given.threads:
        torch.set_num_threads(given.threads)
    results = [
        _measured(given.model, int(streams), given.tokens) for streams in given.streams.split(",")
    ]
    print(json.dumps(results))


def _measured(name: str, streams: int, tokens: int) -> dict[str, Any]:
    subject = load_measured(name, "auto", "auto")
    model = subject.model
    tokenizer = Tokenizer(subject.loaded.tokenizer, subject.loaded.context_tokens)
    prompts = [_prompt(s) for s in workload.subjects(streams)]
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


def _prompt(subject: str) -> str:
    facts = [z.tail.text for z in workload.triples(subject, 3)]
    return reasoning_prompt(workload.query(subject), facts)


async def _all(engine: TransformersModel, prompts: Sequence[str], tokens: int) -> list[str]:
    async def one(prompt: str) -> str:
        request = GenerateRequest(prompt, tokens, stop=())
        return "".join([piece.text async for piece in engine.generate(request)])

    return await asyncio.gather(*(one(prompt) for prompt in prompts))


def _best(name: str, work: Callable[[], object]) -> float | None:
    """The seconds of the better of two runs, after a first one; None if it does not run here."""
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
