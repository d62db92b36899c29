"""Filling and emptying a Neo4j."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from server.graph.relation import Vocabulary
from server.stores.neo4j.base import PlacedConcept, RankedEdge
from server.stores.neo4j.connection import Connection, Neo4jLogin, Tx, done
from server.stores.neo4j.loading import LoadedBase, load_base
from server.stores.neo4j.rows import uri_of
from server.stores.neo4j.schema import PATIENCE_S, prepare_graph
from server.stores.sqlite.base import BASE_FILE, BaseReader
from testbed.bases import BaseTriple, build_base

_OVERLAYS = (
    "MATCH ()-[m:ADDED|DELETED]->() DELETE m",
    "MATCH (n:User|Edit|PersonalConcept|Response|ErasedRequest|Erasures|Tombstone) DETACH DELETE n",
)

# The whole base in a fixed order. Ids are 1, 2, ... in the order of keys.
_CONCEPTS = "SELECT key, text, retrievable FROM concepts WHERE id > ? ORDER BY id"
_EDGES = """
WITH mirrored AS (
  SELECT head, relation, rank,
    ROW_NUMBER() OVER (PARTITION BY e.tail, e.relation ORDER BY e.weight DESC, c.key) - 1
      AS back_rank
  FROM edges e JOIN concepts c ON c.id = e.head WHERE e.relation < 0 AND e.head <> e.tail
)
SELECT h.key, r.name, t.key, e.rank, m.back_rank, e.weight, s.dataset, s.license
FROM edges e
JOIN concepts h ON h.id = e.head
JOIN relations r ON r.id = e.relation
JOIN concepts t ON t.id = e.tail
JOIN sources s ON s.id = e.source
LEFT JOIN mirrored m ON m.head = e.head AND m.relation = e.relation AND m.rank = e.rank
ORDER BY e.head, e.relation, e.rank LIMIT -1 OFFSET ?
"""


class SqliteSource:
    """A base file of the embedded store as the source of a load. Close it after use.

    Its triples are merged, ranked and fingerprinted already. It has neither languages nor surface
    texts nor the number of merged lines, and one lane: it is for small bases.
    """

    lanes = 1

    def __init__(self, base: Path) -> None:
        with contextlib.closing(BaseReader(base)) as reader:
            self.counts = reader.counts()
        self._connection = sqlite3.connect(
            f"{base.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False
        )

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def concepts(self, lane: int, start: int) -> Iterator[PlacedConcept]:
        for place, (key, text, retrievable) in enumerate(self._concepts(start), start + 1):
            yield PlacedConcept(place, uri_of(key), text, "en", retrievable)

    def edges(self, round: int, lane: int, start: int) -> Iterator[RankedEdge]:
        places = {key: place for place, (key, _, _) in enumerate(self._concepts(0), 1)}
        for row in self._connection.execute(_EDGES, (start,)):
            head, relation, tail = row[:3]
            yield RankedEdge(places[head], relation, places[tail], *row[3:])

    def _concepts(self, start: int) -> Iterator[tuple[str, str, int]]:
        """(key, text, retrievable triples) of the concepts from place `start` on, by key."""
        yield from self._connection.execute(_CONCEPTS, (start,))


async def fill(
    login: Neo4jLogin, base: Path | Iterable[BaseTriple], vocabulary: Vocabulary, folder: Path
) -> LoadedBase:
    """Put a base into the graph, in the place of any other.

    `base` is a base file of the embedded store, or triples from which one is made in `folder`.
    """
    if not isinstance(base, Path):
        build_base(folder, base, vocabulary)
        base = folder / BASE_FILE
    with contextlib.closing(SqliteSource(base)) as source:
        async with Connection(login) as connection:
            await prepare_graph(connection)
            return await load_base(connection, source, vocabulary, replace=True)


async def forget_users(login: Neo4jLogin) -> None:
    """Empty all overlays and histories. The base stays."""
    await run(login, *_OVERLAYS)


async def run(login: Neo4jLogin, *statements: str, **parameters: Any) -> None:
    """Run statements, each in a transaction of its own."""
    async with Connection(login) as connection:
        for statement in statements:

            async def work(tx: Tx, statement: Any = statement) -> None:
                await done(tx, statement, **parameters)

            await connection.write(work, PATIENCE_S)
