"""The graph's schema: made and checked when a store is opened or a base is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, LiteralString

from server.errors import KgtError, StoreUnusable
from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Connection, Neo4jLogin, Tx, one
from server.stores.neo4j.upgrade import upgrade_overlays

PATIENCE_S = 300.0
"""How long one transaction of opening or loading may take. Only the operator waits for it."""
_NAMED_TYPES = 5
"""How many unknown relationship types an error names."""


async def prepare_graph(
    connection: Connection, schema: Sequence[LiteralString] = cypher.SCHEMA
) -> None:
    """Make the schema, or a part of it, and bring overlays of an older one to it.

    Raises StoreUnusable for a newer schema, for other people's data, and without permission.
    """
    try:
        graph = await present_graph(connection)
        version = int(graph.get("schema_version", cypher.SCHEMA_VERSION))
        _require_version(version)
        is_older = version < cypher.SCHEMA_VERSION
        for statement in cypher.SCHEMA if is_older else schema:
            await connection.run_schema(statement)
        await connection.run_schema(cypher.AWAIT_INDEXES)
        if is_older:
            await upgrade_overlays(connection)
        version, types = await connection.write(_claim, PATIENCE_S)
    except StoreUnusable:
        raise
    except KgtError as error:
        raise StoreUnusable(f"the graph cannot be opened: {error}") from error
    _require_version(version)
    _require_own(types)


async def _claim(tx: Tx) -> tuple[int, Sequence[str]]:
    """(the schema's version, the types of relationships), with the graph's node made if missing."""
    claimed = await one(tx, cypher.CLAIM_GRAPH, version=cypher.SCHEMA_VERSION)
    return claimed["schema_version"], (await one(tx, cypher.RELATIONSHIP_TYPES))["types"]


def _require_version(found: int) -> None:
    if found > cypher.SCHEMA_VERSION:
        raise StoreUnusable(
            f"the graph has schema version {found}, this service knows up to"
            f" {cypher.SCHEMA_VERSION}; update the service"
        )


def _require_own(types: Iterable[str]) -> None:
    unknown = sorted(set(types) - {*cypher.BASE_TYPES, cypher.ADDED, cypher.DELETED})
    if unknown:
        raise StoreUnusable(
            "the graph has relationships of types that this service does not know"
            f" ({', '.join(unknown[:_NAMED_TYPES])}); give it a database of its own"
            " (KGT_NEO4J_DATABASE), or remove them"
        )


async def present_graph(connection: Connection) -> Mapping[str, Any]:
    """The properties of the node that describes the graph; empty if there is none."""

    async def work(tx: Tx) -> Mapping[str, Any]:
        record = await (await tx.run(cypher.GET_GRAPH)).single()
        return {} if record is None else dict(record["graph"])

    return await connection.read(work, PATIENCE_S)


async def declared_relations(login: Neo4jLogin) -> str:
    """The relations that the graph's base brought along, as TOML. Raises StoreUnusable."""
    async with Connection(login) as connection:
        await connection.require_usable()
        return "\n".join((await present_graph(connection)).get("declared") or ())


async def relation_names(login: Neo4jLogin) -> list[str]:
    """The names of the relations that the graph's base uses. Raises StoreUnusable."""
    async with Connection(login) as connection:
        await connection.require_usable()
        return list((await present_graph(connection)).get("relations") or ())
