"""Runs the cases of a set against a server, and makes one JSON document of the figures."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evaluation.corrections import counting
from evaluation.corrections.caller import Call, Caller
from evaluation.corrections.cases import Case
from evaluation.corrections.player import CaseResult, play
from evaluation.corrections.reading import Reading
from evaluation.corrections.selection import Selection
from evaluation.corrections.serving import served
from evaluation.corrections.sets import CaseSet
from kgt.client import AsyncClient
from kgt.v1 import personalization_pb2 as pb
from server import assemble
from server.settings import read_settings
from server.stores.neo4j.connection import EMBEDDED

_TIMEOUT_S = 600.0
_PROGRESS_EVERY_S = 10.0


@dataclass(slots=True)
class Measured:
    """What one run found."""

    results: list[CaseResult]
    calls: list[Call]
    fingerprints: pb.Fingerprints
    users: int
    seconds: float


@dataclass(slots=True)
class Progress:
    """Says on stderr, every few seconds, how far a run is."""

    name: str
    cases: int
    done: int = 0
    calls: int = 0
    told_s: float = field(default_factory=time.monotonic)

    def called(self) -> None:
        """Count a call."""
        self.calls += 1
        if time.monotonic() - self.told_s >= _PROGRESS_EVERY_S:
            self.told_s = time.monotonic()
            told = f"{self.name}: {self.done} of {self.cases} cases, {self.calls} calls"
            print(told, file=sys.stderr, flush=True)


async def measure(name: str, users: Sequence[Sequence[Case]], address: str) -> Measured:
    """Play each user's cases against the server at `address`."""
    progress = Progress(name, sum(map(len, users)))
    run = uuid.uuid4().hex[:8]  # a server that runs on may have users of an earlier run
    results: list[CaseResult] = []
    started = time.perf_counter()
    async with AsyncClient(address, timeout_s=_TIMEOUT_S) as client:
        caller = Caller(client, progress.called)
        for number, cases in enumerate(users):
            results += await play(caller, f"corrections {run} {number}", cases)
            progress.done += len(cases)
    seconds = time.perf_counter() - started
    return Measured(results, caller.calls, caller.fingerprints, len(users), seconds)


@asynccontextmanager
async def server_for(of: CaseSet, address: str) -> AsyncIterator[str]:
    """The address of the server to ask: the given one, or one started with the set's base graph.

    Raises StartupError.
    """
    if address:
        yield address
        return
    settings = read_settings(["--store", EMBEDDED])
    with tempfile.TemporaryDirectory() as folder:
        of.build_base(Path(folder))
        model = await assemble.loaded_model(settings)
        try:
            async with served(settings, Path(folder), model) as own:
                yield own
        finally:
            await asyncio.to_thread(model.close)


def document(
    of: CaseSet, selection: Selection, reading: Reading, measured: Measured
) -> dict[str, Any]:
    """The figures, for programs."""
    kinds = counting.tallies(measured.results)
    fingerprints = measured.fingerprints
    return {
        "measurement": "corrections",
        "set": of.name,
        "half": selection.half,
        "seed": selection.seed,
        "first": selection.first,
        "cases": len(measured.results),
        "users": measured.users,
        "questions": {kind: {**asdict(t), "percent": t.percent} for kind, t in kinds.items()},
        "corrections": counting.corrections(measured.results),
        "calls": counting.costs(measured.calls),
        "refused": counting.refusals(measured.calls),
        "malformed": len(reading.malformed),
        "left_out": reading.left_out,
        "seconds": round(measured.seconds, 1),
        "fingerprints": {
            d.name: getattr(fingerprints, d.name) for d in pb.Fingerprints.DESCRIPTOR.fields
        },
    }
