"""The store on Neo4j passes the suite of all stores, on 5.26 and on the newest calendar release."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from server.graph.triple import Triple, canonical
from server.stores.neo4j.rows import triple_of
from server.stores.neo4j.store import Neo4jStore
from server.stores.sqlite.base import BASE_FILE
from server.tuning.ports import GraphStore
from testbed.bases import BaseTriple, build_base
from testbed.neo4j import Database, Unobtainable, neo4j_process
from testbed.neo4j.graphs import fill, forget_users, run
from tests.conformance.graph_store import BASE, BROKEN_BODY, VOCABULARY, GraphStoreConformance


@pytest.fixture(scope="module")
def base_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    build_base(folder, BASE, VOCABULARY)
    return folder / BASE_FILE


@pytest.fixture(scope="module")
def calendar_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The newest calendar release, where this machine can run it."""
    if os.environ.get("KGT_TEST_NEO4J_RELEASE") == "calendar":
        pytest.skip("all Neo4j tests run on the calendar release")
    try:
        with neo4j_process(tmp_path_factory.mktemp("calendar") / "neo4j", "calendar") as database:
            yield database
    except Unobtainable as reason:
        pytest.skip(str(reason))


class Neo4jConformance(GraphStoreConformance):
    """The suite on `database`, which subclasses set."""

    database: Database

    @pytest.fixture(autouse=True)
    def _places(self, base_file: Path, tmp_path: Path) -> None:
        self.base_file, self.folder = base_file, tmp_path

    async def opened(self, base: Sequence[BaseTriple]) -> GraphStore:
        await fill(self.database.login, self.base_file, VOCABULARY, self.folder)
        await forget_users(self.database.login)
        return await Neo4jStore.open(self.database.login, VOCABULARY)

    async def damage(self, store: GraphStore, user: str, revision: int) -> None:
        statement = "MATCH (e:Edit {user: $user, revision: $revision}) SET e.body = $body"
        await run(self.database.login, statement, user=user, revision=revision, body=BROKEN_BODY)

    async def lose(self, store: GraphStore, user: str, triple: Triple) -> None:
        statement = "MATCH ()-[m:ADDED|DELETED {triple: $triple}]->() DELETE m"
        key = triple_of(user, canonical(triple, VOCABULARY))
        await run(self.database.login, statement, triple=key)


class TestNeo4jStore(Neo4jConformance):
    @pytest.fixture(autouse=True)
    def _database(self, neo4j_database: Database) -> None:
        self.database = neo4j_database


class TestNeo4jStoreOnTheCalendarRelease(Neo4jConformance):
    @pytest.fixture(autouse=True)
    def _database(self, calendar_database: Database) -> None:
        self.database = calendar_database
