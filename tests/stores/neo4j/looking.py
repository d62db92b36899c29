"""A small base, and looks into the database around the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.graph.edit import Change
from server.stores.neo4j.connection import Connection, Tx
from server.stores.neo4j.store import Neo4jStore
from server.tuning.ports import GraphStore
from testbed.bases import BaseTriple
from tests.conformance.graph_store import BONES, MEAT, added, edit, t

SMALL = [
    BaseTriple(MEAT, 4.0, "/d/test", "cc0"),
    BaseTriple(BONES, 3.0),
    BaseTriple(t("hot", "Antonym", "cold")),
    BaseTriple(t("cold", "Antonym", "warm"), 2.0),
    BaseTriple(t("Ann", "is the boss of", "Bob")),
]
_IN_USE = """
SHOW TRANSACTIONS YIELD currentQuery, metaData
WHERE NOT trim(currentQuery) STARTS WITH 'SHOW'
RETURN count(*) AS n
"""


async def rows(connection: Connection, statement: Any) -> Sequence[Sequence[Any]]:
    """What a statement yields."""

    async def work(tx: Tx) -> list[list[Any]]:
        return [record.values() async for record in await tx.run(statement)]

    return await connection.read(work)


async def transactions(store: Neo4jStore) -> int:
    """How many transactions are open in the database, besides the one that asks."""
    ((count,),) = await rows(store._connection, _IN_USE)
    return int(count)


def sessions(store: Neo4jStore) -> int:
    """How many connections of the store's pool are in use."""
    pool = store._connection._driver._pool
    return sum(pool.in_use_connection_count(address) for address in pool.connections)


async def grow(store: GraphStore, count: int) -> None:
    """Add `count` facts at one concept for ann, in one edit."""
    snapshot = await store.snapshot("ann")
    revision = snapshot.revision + 1
    triples = [t("dog", "HasA", f"idea {revision} {n}") for n in range(count)]
    changes = tuple(Change(triple, None, added(revision, n)) for n, triple in enumerate(triples))
    await store.commit("ann", snapshot, [edit(revision, *changes)], None)
