from collections.abc import Sequence
from pathlib import Path

import pytest

from server.stores.neo4j import Neo4jStore
from server.stores.sqlite_base import BASE_FILE, BaseTriple, build_base
from server.tuning.ports import GraphStore
from tests.conformance.graph_store import BASE, VOCABULARY, GraphStoreConformance
from tests.neo4j.database import Database
from tests.neo4j.graphs import fill, forget_users


@pytest.fixture(scope="module")
def base_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    build_base(folder, BASE, VOCABULARY)
    return folder / BASE_FILE


class TestNeo4jStore(GraphStoreConformance):
    @pytest.fixture(autouse=True)
    def _database(self, neo4j_database: Database, base_file: Path, tmp_path: Path) -> None:
        self.database, self.base_file, self.folder = neo4j_database, base_file, tmp_path

    async def opened(self, base: Sequence[BaseTriple]) -> GraphStore:
        await fill(self.database.login, self.base_file, VOCABULARY, self.folder)
        await forget_users(self.database.login)
        return await Neo4jStore.open(self.database.login, VOCABULARY)
