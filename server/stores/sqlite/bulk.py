"""A base file that a loader writes in one go, from rows in the order of their keys.

SQLite makes the schema, and the trees of the large tables and their indexes are written page by
page (server.stores.sqlite.trees). That takes a third of the time of inserting the rows and sorting
for the indexes. The file is not a base until `finish` has made it one and the loader has moved it
into place. What a killed loader left is of no use: the next one begins again.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from server.files import sync_file
from server.stores.sqlite import sql
from server.stores.sqlite.connection import transaction
from server.stores.sqlite.private_files import create_private
from server.stores.sqlite.records import Integers, Ints, Reals, RowIds, Texts, Value, cells
from server.stores.sqlite.trees import PageFile, Tree

Part = Literal["concepts", "edges", "edges_of_hubs", "edges_mirrored"]
"""A table or an index. The index of concepts is written with them."""
Columns = Mapping[str, NDArray[Any]]
"""Rows by column, each column of the same length."""

COLUMNS: Mapping[Part, Sequence[str]] = {
    "edges": ("head", "relation", "rank", "tail", "weight", "source", "merged"),
    "edges_of_hubs": ("head", "relation", "tail", "rank"),
    "edges_mirrored": ("tail", "relation", "weight", "head", "rank"),
}
"""The columns of the records: an index has its own, and those of the table's key that it lacks."""


class BaseWriter:
    """One base file under construction."""

    def __init__(
        self,
        path: Path,
        relations: Iterable[tuple[int, str, int]],
        sources: Iterable[tuple[int, str, str]],
    ) -> None:
        """Make the file. Raises what the disk and SQLite raise.

        relations: (id, negative where symmetric; name; edges). sources: (id, dataset, license).
        """
        remove(path)
        create_private(path)
        self._path = path
        with contextlib.closing(_connected(path)) as connection, transaction(connection):
            for statement in (*sql.BASE_SCHEMA.split(";"), *sql.BASE_INDEXES.split(";")):
                connection.execute(statement)
            connection.executemany(sql.INSERT_RELATION, relations)
            connection.executemany(sql.INSERT_SOURCE, sources)
            roots = dict(connection.execute(sql.ROOT_PAGES).fetchall())
        self._file = PageFile(path)
        self._trees = {
            name: Tree(self._file, roots[name], is_table=name == "concepts")
            for name in (*COLUMNS, "concepts", "concepts_by_key")
        }

    def add(self, part: Part, rows: Columns) -> None:
        """Append rows to a part, in its order. Each part may have a thread of its own.

        concepts: id, key, text and retrievable, in the order of ids and of keys. The others: the
        columns of COLUMNS. Raises ValueError for a text that is far longer than a concept's may be.
        """
        if part == "concepts":
            self._add_concepts(rows)
            return
        values: list[Value] = [
            Reals(rows[column]) if column == "weight" else Integers(_integers(rows[column]))
            for column in COLUMNS[part]
        ]
        self._trees[part].add(cells(values))

    def _add_concepts(self, rows: Columns) -> None:
        ids, keys = _integers(rows["id"]), Texts(rows["key"].tolist())
        texts, retrievable = Texts(rows["text"].tolist()), Integers(_integers(rows["retrievable"]))
        table = cells([RowIds(len(ids)), keys, texts, retrievable], ids)
        self._trees["concepts"].add(table, ids)
        self._trees["concepts_by_key"].add(cells([keys, Integers(ids)]))

    def finish(self, meta: Mapping[str, str]) -> None:
        """Write the last pages, and note `meta`. The file is then a base on disk."""
        for tree in self._trees.values():
            tree.finish()
        self._file.finish()
        self.close()
        with contextlib.closing(_connected(self._path)) as connection:
            with transaction(connection):
                for key, value in {"schema_version": str(sql.BASE_SCHEMA_VERSION), **meta}.items():
                    connection.execute(sql.PUT_META, (key, value))
            connection.executescript(sql.ANALYZE_BASE)
        sync_file(self._path)

    def close(self) -> None:
        self._file.close()


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(sql.BULK_PRAGMAS)
    return connection


def _integers(column: NDArray[Any]) -> Ints:
    return column.astype(np.int64, copy=False)


def remove(path: Path) -> None:
    """Delete a half-built file and its journal."""
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
