"""A store in a folder of its own, and what recalls facts from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.stores.sqlite.store import SqliteStore
from server.tuning.recalls import Recalls
from tests.tuning.teaching import VOCABULARY


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path, VOCABULARY)
    yield store
    await store.close()


@pytest.fixture
def recalls(store: SqliteStore) -> Recalls:
    return Recalls(store, VOCABULARY)
