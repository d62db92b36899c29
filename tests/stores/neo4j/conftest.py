from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.stores.neo4j.connection import Connection, Neo4jLogin
from server.stores.neo4j.store import Neo4jStore
from testbed.neo4j import Database
from testbed.neo4j.graphs import fill, forget_users
from tests.conformance.graph_store import VOCABULARY
from tests.stores.neo4j.looking import SMALL


@pytest.fixture
def login(neo4j_database: Database) -> Neo4jLogin:
    return neo4j_database.login


@pytest.fixture
async def store(login: Neo4jLogin, tmp_path: Path) -> AsyncIterator[Neo4jStore]:
    """A store without users over `SMALL`."""
    await fill(login, SMALL, VOCABULARY, tmp_path)
    await forget_users(login)
    opened = await Neo4jStore.open(login, VOCABULARY)
    yield opened
    await opened.close()


@pytest.fixture
async def connection(login: Neo4jLogin) -> AsyncIterator[Connection]:
    """A way into the graph that goes around the store."""
    opened = Connection(login)
    yield opened
    await opened.close()
