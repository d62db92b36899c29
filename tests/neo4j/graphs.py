"""Filling and emptying the tests' Neo4j."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from server.graph.relation import Vocabulary
from server.stores.neo4j.base import PATIENCE_S, LoadedBase, SqliteSource, load_base, prepare_graph
from server.stores.neo4j.connection import Connection, Neo4jLogin, done
from server.stores.sqlite.base import BASE_FILE, BaseReader
from testbed.bases import BaseTriple, build_base

_OVERLAYS = (
    "MATCH ()-[m:ADDED|DELETED]->() DELETE m",
    "MATCH (n:User|Edit|PersonalConcept|Response|ErasedRequest|Erasures) DETACH DELETE n",
)


async def fill(
    login: Neo4jLogin, base: Path | Iterable[BaseTriple], vocabulary: Vocabulary, folder: Path
) -> LoadedBase:
    """Put a base into the graph: one of the embedded store's files, or triples that are made to one
    in `folder`."""
    if not isinstance(base, Path):
        build_base(folder, base, vocabulary)
        base = folder / BASE_FILE
    reader = BaseReader(base)
    with contextlib.closing(reader):
        async with Connection(login) as connection:
            await prepare_graph(connection)
            return await load_base(connection, SqliteSource(reader), vocabulary, replace=True)


async def forget_users(login: Neo4jLogin) -> None:
    """Empty all overlays and histories; the base stays."""
    await run(login, *_OVERLAYS)


async def run(login: Neo4jLogin, *statements: str, **parameters: Any) -> None:
    """Run statements, a transaction each."""
    async with Connection(login) as connection:
        for statement in statements:
            await connection.write(lambda tx, s=statement: done(tx, s, **parameters), PATIENCE_S)  # type: ignore[misc]
