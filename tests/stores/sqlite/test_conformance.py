import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from server.graph.triple import Triple
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore
from server.tuning.ports import GraphStore
from testbed.bases import BaseTriple, build_base
from tests.conformance.graph_store import BASE, BROKEN_BODY, VOCABULARY, GraphStoreConformance


@pytest.fixture(scope="module")
def base_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    build_base(folder, BASE, VOCABULARY)
    return folder / BASE_FILE


class TestSqliteStore(GraphStoreConformance):
    @pytest.fixture(autouse=True)
    def _folder(self, base_file: Path, tmp_path: Path) -> None:
        self.base_file, self.folder = base_file, tmp_path

    async def opened(self, base: Sequence[BaseTriple]) -> GraphStore:
        (self.folder / BASE_FILE).write_bytes(self.base_file.read_bytes())
        return SqliteStore(self.folder, VOCABULARY)

    async def damage(self, store: GraphStore, user: str, revision: int) -> None:
        with (
            contextlib.closing(sqlite3.connect(self.folder / OVERLAYS_FILE)) as connection,
            connection,
        ):
            connection.execute(
                "UPDATE edits SET body = ? WHERE user = ? AND revision = ?",
                (BROKEN_BODY, user, revision),
            )

    async def lose(self, store: GraphStore, user: str, triple: Triple) -> None:
        key = (triple.head.key, triple.relation, triple.tail.key)
        with (
            contextlib.closing(sqlite3.connect(self.folder / OVERLAYS_FILE)) as connection,
            connection,
        ):
            connection.execute(
                "DELETE FROM overlay WHERE user = ? AND (head, relation, tail) = (?, ?, ?)",
                (user, *key),
            )
