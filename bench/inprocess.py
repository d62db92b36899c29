"""The service in the benchmark's own process, without gRPC: a store, a model and the use cases."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench import workload
from server import assemble
from server.lm.transformers_model import TransformersModel
from server.rpc.service import UseCases
from server.settings import read_settings
from server.stores.sqlite.store import SqliteStore
from server.tuning.personalize.command import PersonalizeCommand
from server.tuning.personalize.outcome import PersonalizeOutcome
from testbed.bases import BaseTriple, build_base


@asynccontextmanager
async def in_process(
    model: TransformersModel, concepts: int, triples_each: int
) -> AsyncIterator[UseCases]:
    """The use cases over `model` and an embedded store with the workload's triples."""
    named = workload.subjects(concepts)
    triples = [BaseTriple(z, 1.0) for s in named for z in workload.triples(s, triples_each)]
    with tempfile.TemporaryDirectory() as folder:
        build_base(Path(folder), triples, workload.VOCABULARY)
        store = SqliteStore(Path(folder), workload.VOCABULARY)
        try:
            yield assemble.use_cases(read_settings([]), store, model, workload.VOCABULARY)
        finally:
            await store.close()


async def personalized(
    use: UseCases, command: PersonalizeCommand
) -> tuple[PersonalizeOutcome, float]:
    """Run one Personalize, as the service does. Returns the milliseconds that it took, too."""
    propose = functools.partial(use.personalizer.propose, command)
    started = time.perf_counter()
    outcome = await use.writes.run(command.user, propose)
    return outcome, (time.perf_counter() - started) * 1000


def spread(took_ms: Sequence[float]) -> dict[str, Any]:
    """The median of some times, and the one that 99 of 100 do not exceed."""
    ordered = sorted(took_ms)
    return {
        "p50_ms": round(ordered[len(ordered) // 2], 1),
        "p99_ms": round(ordered[len(ordered) * 99 // 100], 1),
    }
