"""Schemas and data that the service does not know."""

from __future__ import annotations

import asyncio

import pytest

from server.errors import StoreUnusable
from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Neo4jLogin
from server.stores.neo4j.store import Neo4jStore
from testbed.neo4j.graphs import run
from tests.conformance.graph_store import VOCABULARY


@pytest.mark.usefixtures("store")
async def test_a_newer_schema_is_refused(login: Neo4jLogin) -> None:
    await run(login, "MATCH (g:Graph) SET g.schema_version = 99")
    try:
        with pytest.raises(StoreUnusable, match="schema version 99"):
            await Neo4jStore.open(login, VOCABULARY)
    finally:
        statement = "MATCH (g:Graph) SET g.schema_version = $version"
        await run(login, statement, version=cypher.SCHEMA_VERSION)


@pytest.mark.usefixtures("store")
async def test_other_people_s_data_are_refused(login: Neo4jLogin) -> None:
    await run(login, "CREATE (:Stranger)-[:ELSEWHERE]->(:Stranger)")
    try:
        with pytest.raises(StoreUnusable, match="ELSEWHERE"):
            await Neo4jStore.open(login, VOCABULARY)
    finally:
        await run(login, "MATCH (s:Stranger) DETACH DELETE s")
    await (await Neo4jStore.open(login, VOCABULARY)).close()


@pytest.mark.usefixtures("store")
async def test_servers_that_start_together_make_one_schema(login: Neo4jLogin) -> None:
    stores = await asyncio.gather(*(Neo4jStore.open(login, VOCABULARY) for _ in range(4)))
    for opened in stores:
        await opened.close()
