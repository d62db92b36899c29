"""python -m bench.recall: measures how long it takes to find the personal facts of a query.

A user of the embedded store has --facts facts, each with a key of 576 numbers, as many as the
default model has. Measured are: reading them all after a start, following one more edit, and
comparing a query with all of them, beside the plain product of a matrix and a vector, which nothing
can be faster than. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.corrections.bases import build_starter
from server.graph.edit import Change, Edit, EditKind, Scope
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.edits import new_edit_id, now_ms
from server.tuning.key_rows import packed
from server.tuning.ports import Key
from server.tuning.recalls import Recalls

WIDTH = 576
EDITS_EACH = 500
QUERIES = 300
USER, FINGERPRINT = "bench", "bench"


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.recall", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--facts", type=int, default=10_000, help="facts of the user")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measured(Path(folder), options.facts))))


async def measured(folder: Path, facts: int) -> dict[str, Any]:
    """The milliseconds of each step."""
    build_starter(folder)
    store = SqliteStore(folder, Vocabulary.built_in())
    chance = np.random.default_rng(15)
    keys = chance.standard_normal((facts + 1, WIDTH)).astype(np.float32)
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    took: dict[str, list[float]] = {"cold": [], "one_more": [], "about": [], "product": []}
    try:
        await fill(store, keys[:-1])
        recalls = Recalls(store, Vocabulary.built_in())
        with timed(took["cold"]):
            known = await recalls.of(USER, FINGERPRINT, None)
        known.about(keys[0], 0.5, ())
        await add(store, facts, keys[-1:])
        with timed(took["one_more"]):
            known = await recalls.of(USER, FINGERPRINT, None)
            known.about(keys[-1], 0.5, ())
        for number in range(QUERIES):
            query = keys[number % facts]
            with timed(took["about"]):
                known.to_read(())
                found = known.about(query, 0.5, ())
            assert found[0].fact.triple.tail.text == f"value {number % facts}"
            with timed(took["product"]):
                np.argmax(keys @ query)
    finally:
        await store.close()
    return {"facts": facts, "width": WIDTH} | {
        f"{name}_ms_p50": round(statistics.median(times), 3) for name, times in took.items()
    }


async def fill(store: SqliteStore, keys: Key) -> None:
    """Give the user one fact for each key."""
    for start in range(0, len(keys), EDITS_EACH):
        await add(store, start, keys[start : start + EDITS_EACH])


async def add(store: SqliteStore, start: int, keys: Key) -> None:
    """Commit one edit for each key, all at once."""
    snapshot = await store.snapshot(USER)
    edits = [
        _edit(snapshot.revision + 1 + number, start + number, key)
        for number, key in enumerate(keys)
    ]
    await store.commit(USER, snapshot, edits, None)


def _edit(revision: int, number: int, key: Key) -> Edit:
    scope = Scope(f"What is thing {number}?", packed(key), FINGERPRINT)
    triple = Triple.of(f"thing {number}", "IsA", f"value {number}")
    mark = Mark(Origin.ADDED, Stamp(revision, 0))
    change = Change(triple, None, mark, scope=scope)
    return Edit(new_edit_id(), revision, EditKind.PERSONALIZE, now_ms(), (change,))


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    """Note the milliseconds that pass inside."""
    started = time.perf_counter()
    yield
    into.append(1000 * (time.perf_counter() - started))


if __name__ == "__main__":
    main()
