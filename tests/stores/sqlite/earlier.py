"""The files in `data`, as an earlier version of this service left them."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp
from server.stores.sqlite.base import BASE_FILE, declared_relations, relation_names
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore

DATA = Path(__file__).parent / "data"
T0 = 1_795_000_000_000


def added(revision: int, position: int = 0) -> Mark:
    return Mark(Origin.ADDED, Stamp(revision, position))


def restored(path: Path, dump: str) -> None:
    """The file that `dump` shows."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript((DATA / dump).read_text(encoding="utf-8"))


def store_of_then(folder: Path) -> SqliteStore:
    """A store over the base and the overlays of then, restored in `folder`."""
    restored(folder / BASE_FILE, "base_v3_triples.sql")
    restored(folder / OVERLAYS_FILE, "overlays_v2.sql")
    vocabulary = Vocabulary.built_in().extended(declared_relations(folder))
    return SqliteStore(folder, vocabulary.with_base_names(relation_names(folder)))
