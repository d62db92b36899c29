"""python -m bench.sizes: what a user and a fact take in each store, and in a server's memory.

Each user says one sentence for each fact: an edit with a triple, its scope with a key of the
default model's width, and a response of a kilobyte. The stores' files are compared before and
after. Without --neo4j only the embedded store is measured; with it, a Neo4j is made from Maven
artifacts. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from server.graph.edit import Change, Edit, EditKind, Scope
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.neo4j.store import Neo4jStore
from server.stores.sqlite.store import SqliteStore
from server.tuning.ports import GraphStore, RequestRecord
from server.tuning.recalls import Recalls
from testbed.neo4j import JAVA, POMS, ProcessNeo4j, find_java, jars

KEY_NUMBERS = 576
"""The width of the default model's keys."""
_RESPONSE_BYTES = 1_000
_AT_ONCE = 16
VOCABULARY = Vocabulary.built_in()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.sizes", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--facts", type=int, default=20, help="facts of each user")
    parser.add_argument("--neo4j", action="store_true", help="measure a Neo4j too")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kgt-bench-") as folder:
        measured = {"sqlite": asyncio.run(_sqlite(Path(folder, "sqlite"), given))}
        if given.neo4j:
            measured["neo4j"] = asyncio.run(_neo4j(Path(folder, "neo4j"), given))
    for store, sizes in measured.items():
        print(f"{store}: " + ", ".join(f"{name} {size:,.0f}" for name, size in sizes.items()))
    print(json.dumps(measured))


async def _sqlite(folder: Path, given: argparse.Namespace) -> dict[str, float]:
    store = SqliteStore(folder, VOCABULARY)
    try:
        return await _measured(store, lambda: _bytes_below(folder), given)
    finally:
        await store.close()


async def _neo4j(folder: Path, given: argparse.Namespace) -> dict[str, float]:
    java = find_java(JAVA["lts"])
    assert java is not None, "Neo4j needs Java 17"
    database = ProcessNeo4j(folder, java, jars(POMS["lts"]))
    await asyncio.to_thread(database.start)
    try:
        store = await Neo4jStore.open(database.login, VOCABULARY)
        stored = database.data / "databases" / "neo4j"

        def written() -> int:
            """The files' bytes, once all is in them: Neo4j writes its pages when it stops."""
            database.stop()
            size = _bytes_below(stored)
            database.start()
            return size

        try:
            return await _measured(store, written, given)
        finally:
            await store.close()
    finally:
        await asyncio.to_thread(database.stop)


async def _measured(
    store: GraphStore, on_disk: Callable[[], int], given: argparse.Namespace
) -> dict[str, float]:
    """Bytes on disk and in memory: of a fact, and of a user who has no more than one."""
    users, facts = given.users, given.facts
    before = on_disk()
    await _write(store, [f"first {n}" for n in range(users)], 1)
    first = on_disk()
    await _write(store, [f"user {n}" for n in range(users)], facts)
    whole = on_disk()
    recalls = Recalls(store, VOCABULARY)
    for n in range(min(users, 50)):
        await recalls.of(f"user {n}", "bench", None)
    of_fact = (whole - first - (first - before)) / (users * (facts - 1))
    return {
        "bytes on disk of a fact": of_fact,
        "bytes on disk of a user with one fact": (first - before) / users,
        "bytes in memory of a user who asked": recalls.bytes / recalls.users,
        "facts of each user": facts,
    }


async def _write(store: GraphStore, users: Sequence[str], facts: int) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(user: str) -> None:
        async with gate:
            for _ in range(facts):
                await _tell(store, user)

    await asyncio.gather(*(one(user) for user in users))


async def _tell(store: GraphStore, user: str) -> None:
    """One sentence of a user, as Learn commits it."""
    snapshot = await store.snapshot(user)
    revision = snapshot.revision + 1
    word = secrets.token_hex(4)
    said = f"My friend {word} lives in a house by the sea."
    scope = Scope(said, secrets.token_bytes(2 * KEY_NUMBERS), "bench", owned=True)
    triple = Triple.of(f"friend {word}", "AtLocation", "house by the sea")
    change = Change(triple, None, Mark(Origin.ADDED, Stamp(revision, 0)), scope=scope)
    identity = uuid.uuid4().hex
    edit = Edit(identity, revision, EditKind.LEARN, 1_700_000_000_000, (change,), message=said)
    record = RequestRecord(identity, "0" * 64, secrets.token_bytes(_RESPONSE_BYTES))
    await store.commit(user, snapshot, [edit], record)


def _bytes_below(folder: Path) -> int:
    """Of all files but the log of transactions, which is emptied from time to time."""
    return sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".db-wal"
    )


if __name__ == "__main__":
    main()
