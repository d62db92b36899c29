"""python -m bench.personalize: times whole Personalize calls, one at a time, without generation.

Relations are ranked and the answer before is given. The use case runs as in the service, on the
embedded store, each query by a new user. The passes and tokens of one call are printed too. The
last line is JSON:
{"model","device","n","forward_passes","tokens","p50_ms","p99_ms","peak_bytes","weight_bytes"}.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import workload
from bench.models import SHAPES, device_name, load_measured, peak_bytes, reset_peak
from server import assemble
from server.lm.transformers_model import TransformersModel
from server.settings import read_settings
from server.stores.sqlite.store import SqliteStore
from server.tuning.personalize.command import PersonalizeCommand, PersonalizeRules, RelationSource
from server.tuning.personalize.outcome import PersonalizeOutcome
from server.tuning.scoring import ScoringBudget
from testbed.bases import BaseTriple, build_base


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
    subjects = workload.subjects(queries + 2)
    outcomes: list[PersonalizeOutcome] = []
    took_ms = []

    with tempfile.TemporaryDirectory() as folder:
        triples = [BaseTriple(z, 1.0) for s in subjects for z in workload.triples(s, n)]
        build_base(Path(folder), triples, workload.VOCABULARY)
        store = SqliteStore(Path(folder), workload.VOCABULARY)
        model = TransformersModel(subject.loaded)
        use = assemble.use_cases(read_settings([]), store, model, workload.VOCABULARY)
        rules = PersonalizeRules(
            budget=ScoringBudget(1.0, most), relation_source=RelationSource.RANKED
        )
        for number, concept in enumerate(subjects):
            command = PersonalizeCommand(
                user=f"user-{number}",
                query=workload.query(concept),
                answer="fresh vegetables",
                subject=concept,
                answer_before=workload.triples(concept, n)[0].tail.text,
                verify=False,
                rules=rules,
            )
            reset_peak(subject.model.device)
            propose = functools.partial(use.personalizer.propose, command)
            started = time.perf_counter()
            outcomes.append(await use.writes.run(command.user, propose))
            took_ms.append((time.perf_counter() - started) * 1000)
        peak = peak_bytes(subject.model.device)
        model.close()
        await store.close()
    ordered = sorted(took_ms[2:])  # the first two warm up
    cost = outcomes[-1].cost
    passes = [outcome.cost.model.forward_passes for outcome in outcomes]
    print(f"passes by request {passes}; stages of the last {cost.stages_ms}")
    return {
        "model": name,
        "device": device_name(subject.model.device),
        "n": n,
        "forward_passes": cost.model.forward_passes,
        "tokens": cost.model.tokens_read,
        "p50_ms": round(ordered[len(ordered) // 2], 1),
        "p99_ms": round(ordered[len(ordered) * 99 // 100], 1),
        "peak_bytes": peak,
        "weight_bytes": sum(p.numel() * p.element_size() for p in subject.model.parameters()),
    }


if __name__ == "__main__":
    main()
