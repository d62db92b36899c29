"""Filling and emptying a Neo4j."""

from __future__ import annotations

import contextlib
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
    "MATCH (n:User|Edit|PersonalConcept|Response|ErasedRequest|Erasures) DETACH DELETE n",
)


class SqliteSource:
    """A base file of the embedded store as the source of a load.

    Its triples are merged, ranked and fingerprinted already. It has neither languages nor surface
    texts nor the number of merged lines, and one lane: it is for small bases.
    """

    lanes = 1

    def __init__(self, reader: BaseReader) -> None:
        self._reader = reader
        self.counts = reader.counts()

    def concepts(self, lane: int, start: int) -> Iterator[PlacedConcept]:
        rows = self._reader.all_concepts(start)
        for place, (key, text, retrievable) in enumerate(rows, start + 1):
            yield PlacedConcept(place, uri_of(key), text, "en", retrievable)

    def edges(self, round: int, lane: int, start: int) -> Iterator[RankedEdge]:
        places = {key: place for place, (key, _, _) in enumerate(self._reader.all_concepts(0), 1)}
        for row in self._reader.all_edges(start):
            head, relation, tail = row[:3]
            yield RankedEdge(places[head], relation, places[tail], *row[3:])


async def fill(
    login: Neo4jLogin, base: Path | Iterable[BaseTriple], vocabulary: Vocabulary, folder: Path
) -> LoadedBase:
    """Put a base into the graph, in the place of any other.

    `base` is a base file of the embedded store, or triples from which one is made in `folder`.
    """
    if not isinstance(base, Path):
        build_base(folder, base, vocabulary)
        base = folder / BASE_FILE
    with contextlib.closing(BaseReader(base)) as reader:
        async with Connection(login) as connection:
            await prepare_graph(connection)
            return await load_base(connection, SqliteSource(reader), vocabulary, replace=True)


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
