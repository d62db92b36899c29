"""python -m bench.store: measures reads and commits on both stores, next to each other.

Reads: the neighborhood of a hub with 100 base triples, by a user with one added and one removed
triple, while other users have 0 to 10^6 overlay edges on the same hub. Writes: an edit of two added
triples with its response, by 1, 8 and 64 writers at once, compared with the plainest Cypher write
of the same two edges in a single statement. `--checkout FOLDER` compares with another version. The
last line is JSON.

Without --neo4j it makes a Neo4j from Maven artifacts, with the memory that docker-compose.yml gives
it. Both stores are measured on the same machine, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import neo4j

from bench import against
from bench.statements import FOREIGN, FOREIGN_SQL, FORGET_MARKS, FORGET_NODES, PLAIN_WRITE
from server.graph.concept import Concept
from server.graph.edit import Change, Edit, EditKind
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Connection, Neo4jLogin, done
from server.stores.neo4j.loading import load_base
from server.stores.neo4j.rows import NEWEST, asked_rows, mark_row, owner_of, place_of
from server.stores.neo4j.schema import prepare_graph
from server.stores.neo4j.store import Neo4jStore
from server.stores.rules.erasures import erasure_bucket
from server.stores.settings import login_from_environment
from server.stores.sqlite import sql
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore
from server.tuning.ports import GraphStore, RequestRecord, Snapshot
from testbed.bases import BaseTriple, build_base
from testbed.neo4j.graphs import SqliteSource

VOCABULARY = Vocabulary.built_in()
HUB = Concept.of("hub")
LIMIT = 74
LEAVES = 20_000
"""Concepts to write edges between: so many that no writer meets the same two twice."""
BASE = [BaseTriple(Triple.of("hub", "HasA", f"thing {n}"), float(100 - n)) for n in range(100)] + [
    BaseTriple(Triple.of(f"leaf {n}", "IsA", "leaf")) for n in range(LEAVES)
]
BATCH = 5_000
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Read:
    """The cost of a neighborhood with `foreign` edges of other users on the hub.

    `db_hits` is Neo4j's own count.
    """

    store: str
    foreign: int
    p50_ms: float
    p99_ms: float
    db_hits: int | None


@dataclass(frozen=True, slots=True)
class Written:
    """Commits by several writers at once, and the plainest write of the same edges."""

    store: str
    writers: int
    commits_per_second: float
    p50_ms: float
    p99_ms: float
    plain_commits_per_second: float | None


def main() -> int:
    """The command line; returns the exit status."""
    options = _options()
    if options.checkout:
        against.compare("bench.store", None)
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        _login(options, Path(folder)) as login,
    ):
        reads, writes = asyncio.run(measure(options, login, Path(folder)))
    print(json.dumps({"read": [asdict(r) for r in reads], "write": [asdict(w) for w in writes]}))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.store",
        description=(__doc__ or "").partition("\n")[0],
        parents=[against.options()],
    )
    parser.add_argument(
        "--foreign",
        type=int,
        nargs="+",
        default=[0, 10**4, 10**5, 10**6],
        help="edges of other users",
    )
    parser.add_argument(
        "--writers", type=int, nargs="+", default=[1, 8, 64], help="writers at once"
    )
    parser.add_argument("--reads", type=int, default=500, help="reads measured at each size")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long writers write")
    parser.add_argument(
        "--neo4j",
        help="the address of a Neo4j, ALL OF WHOSE CONTENTS ARE REPLACED;"
        " its login is in KGT_NEO4J_USER and KGT_NEO4J_PASSWORD",
    )
    return parser.parse_args()


@contextlib.contextmanager
def _login(options: argparse.Namespace, folder: Path) -> Iterator[Neo4jLogin]:
    if options.neo4j:
        yield login_from_environment(options.neo4j)
        return
    from testbed.neo4j import AS_IN_COMPOSE, neo4j_process

    with neo4j_process(folder / "neo4j", "lts", AS_IN_COMPOSE) as database:
        yield database.login


async def measure(
    options: argparse.Namespace, login: Neo4jLogin, folder: Path
) -> tuple[Sequence[Read], Sequence[Written]]:
    """Measure everything, SQLite first."""
    reads: list[Read] = []
    writes: list[Written] = []
    build_base(folder, BASE, VOCABULARY)
    connection = Connection(login)
    await prepare_graph(connection)
    await _forget(connection)
    with contextlib.closing(SqliteSource(folder / BASE_FILE)) as source:
        await load_base(connection, source, VOCABULARY, replace=True)
    async with (
        _closing(SqliteStore(folder, VOCABULARY)) as embedded,
        _closing(await Neo4jStore.open(login, VOCABULARY)) as graph,
    ):
        stores: dict[str, GraphStore] = {"sqlite": embedded, "neo4j": graph}
        for store in stores.values():
            await store.commit("ann", await store.snapshot("ann"), [_own_edit()], None)
        present = 0
        for foreign in options.foreign:
            _foreign_sqlite(folder, present, foreign)
            await _foreign_neo4j(connection, present, foreign)
            present = foreign
            for name, store in stores.items():
                hits = await _db_hits(connection) if name == "neo4j" else None
                reads.append(await _read(name, store, foreign, options.reads, hits))
                _say(reads[-1])
        for writers in options.writers:
            for name, store in stores.items():
                plain = await _plain(login, writers, options.seconds) if name == "neo4j" else None
                writes.append(await _write(name, store, writers, options.seconds, plain))
                _say(writes[-1])
    await _forget(connection)
    await connection.close()
    return reads, writes


@contextlib.asynccontextmanager
async def _closing(store: Any) -> AsyncIterator[Any]:
    try:
        yield store
    finally:
        await store.close()


def _own_edit() -> Edit:
    added = Change(Triple.of("hub", "HasA", "leaf 1"), None, Mark(Origin.ADDED, Stamp(1, 0)))
    removed = Change(Triple.of("hub", "HasA", "thing 0"), None, Mark(Origin.REMOVED, Stamp(1, 1)))
    return Edit(uuid.uuid4().hex, 1, EditKind.FACTS, 0, (added, removed))


# Reading


def _foreign_sqlite(folder: Path, present: int, wanted: int) -> None:
    import sqlite3

    connection = sqlite3.connect(folder / OVERLAYS_FILE, isolation_level=None, timeout=30)
    connection.executescript(sql.CONNECTION_PRAGMAS)
    connection.execute("BEGIN IMMEDIATE")
    rows = (
        (f"other {n}", f"leaf {n % LEAVES}", f"leaf {n % LEAVES}") for n in range(present, wanted)
    )
    connection.executemany(FOREIGN_SQL, rows)
    connection.execute("COMMIT")
    connection.close()


async def _foreign_neo4j(connection: Connection, present: int, wanted: int) -> None:
    for start in range(present, wanted, BATCH):

        async def work(tx: Any, start: int = start) -> None:
            await done(tx, FOREIGN, start=start, count=min(BATCH, wanted - start), leaves=LEAVES)

        await connection.write(work, PATIENCE_S)


async def _read(name: str, store: GraphStore, foreign: int, count: int, hits: int | None) -> Read:
    took = []
    for number in range(count + count // 5):
        start = time.perf_counter()
        await store.neighborhood("ann", HUB, LIMIT)
        if number >= count // 5:  # the first fifth warms caches and compilers
            took.append((time.perf_counter() - start) * 1000)
    return Read(name, foreign, _percentile(took, 50), _percentile(took, 99), hits)


async def _db_hits(connection: Connection) -> int:
    """The database hits of the two statements that read a neighborhood."""
    who = {"owner": owner_of("ann"), "bucket": erasure_bucket("ann"), "uris": ["hub"]}
    triples = asked_rows([Triple.of("hub", "HasA", o) for o in ("leaf 1", "thing 0")], ())
    mine = {
        "key": place_of("ann", "hub"),
        "before": NEWEST,
        "symmetric": sorted(VOCABULARY.symmetric_names()),
    }

    async def hits(tx: Any, statement: str, **parameters: Any) -> int:
        result = await tx.run("PROFILE " + statement, {**who, **parameters})
        return _sum_of_hits((await result.consume()).profile)

    async def work(tx: Any) -> int:
        marks = await hits(tx, cypher.MARKS_AT, **mine)
        return marks + await hits(tx, cypher.BASE_SLICES, limit=LIMIT + 2, triples=triples)

    await connection.read(work, 120.0)
    return await connection.read(work, 120.0)


def _sum_of_hits(plan: Any) -> int:
    return int(plan["args"].get("DbHits", 0)) + sum(
        _sum_of_hits(child) for child in plan.get("children", [])
    )


# Writing


async def _write(
    name: str, store: GraphStore, writers: int, seconds: float, plain: float | None
) -> Written:
    prefix = secrets.token_hex(4)
    stands: dict[str, Snapshot] = {}

    async def commit(writer: int, number: int) -> None:
        user = f"{prefix} {writer}"
        if number < 2:  # the first edit names the overlay; from then on nobody else moves it
            stands[user] = await store.snapshot(user)
        snapshot = stands[user]
        revision = snapshot.revision + 1
        changes = tuple(
            Change(triple, None, Mark(Origin.ADDED, Stamp(revision, position)))
            for position, triple in enumerate(_two(writer, number))
        )
        edit = Edit(uuid.uuid4().hex, revision, EditKind.PERSONALIZE, 0, changes)
        await store.commit(user, snapshot, [edit], RequestRecord(edit.id, "hash", b"x" * 500))
        stands[user] = replace(snapshot, revision=revision)

    took, rate = await _by_writers(commit, writers, seconds)
    return Written(name, writers, rate, _percentile(took, 50), _percentile(took, 99), plain)


async def _plain(login: Neo4jLogin, writers: int, seconds: float) -> float:
    """Commits per second of the plainest write: one statement in a transaction of its own."""
    driver = neo4j.AsyncGraphDatabase.driver(login.url, auth=(login.user, login.password))
    prefix = f"plain {secrets.token_hex(4)}"

    async def commit(writer: int, number: int) -> None:
        rows = [
            mark_row(f"{prefix} {writer}", triple, mark, Change(triple, None, mark))
            for position, triple in enumerate(_two(writer, number))
            for mark in [Mark(Origin.ADDED, Stamp(number + 1, position))]
        ]
        async with driver.session(database=login.database) as session:
            while True:
                try:
                    await (await session.run(PLAIN_WRITE, rows=rows)).consume()
                    return
                except neo4j.exceptions.TransientError:
                    continue  # a deadlock with another writer

    try:
        _, rate = await _by_writers(commit, writers, seconds)
        return rate
    finally:
        await driver.close()


def _two(writer: int, number: int) -> tuple[Triple, Triple]:
    """Two triples for one writer. No two writers use the same head at the same time."""
    head = f"leaf {writer % LEAVES}"
    return (
        Triple.of(head, "HasA", f"leaf {(writer + 2 * number + 1) % LEAVES}"),
        Triple.of(head, "HasA", f"leaf {(writer + 2 * number + 2) % LEAVES}"),
    )


async def _by_writers(
    commit: Callable[[int, int], Awaitable[None]], writers: int, seconds: float
) -> tuple[list[float], float]:
    """(how long each commit took in ms, commits per second), after a second of warming up."""
    took: list[float] = []

    async def writer(number: int) -> None:
        made = 0
        while (now := time.perf_counter()) < end:
            await commit(number, made)
            made += 1
            if now >= begin:
                took.append((time.perf_counter() - now) * 1000)

    begin = time.perf_counter() + 1.0
    end = begin + seconds
    await asyncio.gather(*(writer(n) for n in range(writers)))
    return took, len(took) / (time.perf_counter() - begin)


async def _forget(connection: Connection) -> None:
    for statement in (FORGET_MARKS, FORGET_NODES):

        async def work(tx: Any, statement: str = statement) -> int:
            record = await (await tx.run(statement, count=BATCH)).single(strict=True)
            return int(record["gone"])

        while await connection.write(work, PATIENCE_S):
            pass


def _percentile(took: Sequence[float], percent: int) -> float:
    return (
        round(statistics.quantiles(took, n=100, method="inclusive")[percent - 1], 3)
        if len(took) > 1
        else 0.0
    )


def _say(row: Read | Written) -> None:
    print(
        "  ".join(f"{name}={value}" for name, value in asdict(row).items()),
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
