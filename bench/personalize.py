"""python -m bench.personalize: times whole Personalize calls, one at a time, without generation.

Relations are ranked and the answer before is given. The use case runs as in the service, on the
embedded store, each query by a new user. The passes and tokens of one call are printed too. The
last line is JSON:
{"model","device","n","forward_passes","tokens","p50_ms","p99_ms","peak_bytes","weight_bytes"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from typing import Any

from bench import workload
from bench.inprocess import in_process, personalized, spread
from bench.models import SHAPES, device_name, load_measured, peak_bytes, reset_peak
from server.lm.transformers_model import TransformersModel
from server.tuning.personalize.command import PersonalizeCommand, PersonalizeRules, RelationSource
from server.tuning.personalize.outcome import PersonalizeOutcome
from server.tuning.scoring import ScoringBudget

WARMING = 2
"""The first requests warm up and do not count."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.personalize", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--model", default="default", choices=["default", *SHAPES])
    parser.add_argument("--n", type=int, default=50, help="triples of each concept")
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--most", type=int, default=512, help="triples that one request may score")
    given = parser.parse_args(arguments)
    print(json.dumps(asyncio.run(_measured(given.model, given.n, given.queries, given.most))))


async def _measured(name: str, n: int, queries: int, most: int) -> dict[str, Any]:
    subject = load_measured(name, "auto", "auto")
    concepts = workload.subjects(queries + WARMING)
    outcomes: list[PersonalizeOutcome] = []
    took_ms = []
    model = TransformersModel(subject.loaded)
    async with in_process(model, len(concepts), n) as use:
        for number, concept in enumerate(concepts):
            reset_peak(subject.model.device)
            command = ranked(f"user-{number}", concept, n, most)
            outcome, took = await personalized(use, command)
            outcomes.append(outcome)
            took_ms.append(took)
        peak = peak_bytes(subject.model.device)
    model.close()
    cost = outcomes[-1].cost
    passes = [outcome.cost.model.forward_passes for outcome in outcomes]
    print(f"passes by request {passes}; stages of the last {cost.stages_ms}")
    return {
        "model": name,
        "device": device_name(subject.model.device),
        "n": n,
        "forward_passes": cost.model.forward_passes,
        "tokens": cost.model.tokens_read,
        **spread(took_ms[WARMING:]),
        "peak_bytes": peak,
        "weight_bytes": subject.weight_bytes,
    }


def ranked(user: str, concept: str, n: int, most: int) -> PersonalizeCommand:
    """A correction without generation; at most `most` of the concept's `n` triples are scored."""
    rules = PersonalizeRules(budget=ScoringBudget(1.0, most), relation_source=RelationSource.RANKED)
    return PersonalizeCommand(
        user=user,
        query=workload.query(concept),
        answer=workload.FEEDBACK,
        subject=concept,
        answer_before=workload.triples(concept, n)[0].tail.text,
        verify=False,
        rules=rules,
    )


if __name__ == "__main__":
    main()
