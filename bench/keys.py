"""How well keys tell paraphrases from near misses: the default model's, and embeddings of a server.

    python -m bench.keys --server http://127.0.0.1:8000/v1 --name NAME

The figure is the area under the curve on `server/lm/calibration.jsonl`: how often a paraphrase is
nearer to its query than a near miss is to its own. Embeddings are asked for the queries as they
are, and for the prompts that the default model reads. Where a server has one for each token, the
last is taken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Mapping, Sequence

import httpx2
import numpy as np

from server.lm.keys import PROMPTS, area_of, calibration_cases
from server.lm.loading import ModelChoice, load
from server.lm.transformers_model import TransformersModel
from server.tuning.ports import Branch


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m bench.keys", description=__doc__)
    parser.add_argument("--server", help="the API's address, with /v1")
    parser.add_argument("--name", default="", help="the embedding model's name there")
    options = parser.parse_args()
    queries = [query for case in calibration_cases() for query in case]
    areas = {"the default model's keys": area_of(asyncio.run(_keys(queries)))}
    if options.server:
        plain: Mapping[str, Callable[[str], str]] = {"query": str}
        for name, prompt in {**plain, **PROMPTS}.items():
            texts = [prompt(query) for query in queries]
            areas[f"embeddings, {name}"] = area_of(_embeddings(options.server, options.name, texts))
    rounded = {name: round(area, 3) for name, area in areas.items()}
    print(json.dumps({"measurement": "keys", "queries": len(queries), "areas": rounded}))


async def _keys(queries: Sequence[str]) -> np.ndarray:
    """The default model's keys. (queries, width)"""
    model = TransformersModel(load(ModelChoice()))
    try:
        branches = [Branch(model.key_prompt(query), (), keyed=True) for query in queries]
        return np.stack([key for key in (await model.score(branches)).keys if key is not None])
    finally:
        await asyncio.to_thread(model.close)


def _embeddings(server: str, name: str, texts: Sequence[str]) -> np.ndarray:
    """The server's embeddings. (texts, width)"""
    rows = []
    with httpx2.Client(base_url=server, timeout=300) as client:
        for text in texts:
            reply = client.post("/embeddings", json={"model": name, "input": text})
            reply.raise_for_status()
            found = np.array(reply.json()["data"][0]["embedding"], dtype=np.float32)
            rows.append(found if found.ndim == 1 else found[-1])
    return np.stack(rows)


if __name__ == "__main__":
    main()
