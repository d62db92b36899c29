"""python vllm_peer.py FOLDER: times how long vLLM takes for the probabilities that bench.gpu asks.

vLLM pins other versions of torch and transformers than this project, so this file runs in vLLM's
own environment and imports nothing else. FOLDER has a model's config.json, for which vLLM makes
random weights, and asked.json: the tokens of the texts, the number format and the rounds.
found.json gets the median seconds of a round.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

MEMORY = 0.6
"""The share of the device's memory that vLLM may take: it need not have the whole device."""


def main() -> None:
    """Warm up with all texts, then time them in rounds."""
    from vllm import LLM, SamplingParams

    folder = Path(sys.argv[1])
    asked: dict[str, Any] = json.loads((folder / "asked.json").read_text())
    prompts = [{"prompt_token_ids": tokens} for tokens in asked["texts"]]
    model = LLM(
        model=str(folder),
        load_format="dummy",
        skip_tokenizer_init=True,
        dtype=asked["number_format"],
        max_model_len=asked["context_tokens"],
        gpu_memory_utilization=MEMORY,
        disable_log_stats=True,
    )
    # 0: of each token its own probability and no other's. At least one token has to be generated.
    wanted = SamplingParams(max_tokens=1, prompt_logprobs=0, detokenize=False)
    took = []
    for number in range(asked["rounds"] + 1):
        started = time.perf_counter()
        found = model.generate(prompts, wanted, use_tqdm=False)
        assert all(len(one.prompt_logprobs) == len(one.prompt_token_ids) for one in found)
        if number:
            took.append(time.perf_counter() - started)
    (folder / "found.json").write_text(json.dumps({"seconds": statistics.median(took)}))


if __name__ == "__main__":
    main()
