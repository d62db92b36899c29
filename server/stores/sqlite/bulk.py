"""A base file that a loader writes in batches, and that can go on wherever the loader was killed.

The rows come with their integer keys and in the order of the tables' keys, so that every insert
appends. Indexes are built last. Each batch commits together with its position. The file is not a
base until `finish` has made it one and the loader has moved it into place.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal

from server.stores.sqlite import sql
from server.stores.sqlite.connection import transaction
from server.stores.sqlite.private_files import create_private, keep_private, sync_file

Step = Literal["relations", "sources", "concepts", "edges"]

_STATEMENTS: Mapping[Step, str] = {
    "relations": sql.INSERT_RELATION,
    "sources": sql.INSERT_SOURCE,
    "concepts": sql.INSERT_CONCEPTS,
    "edges": sql.INSERT_EDGES,
}
"""relations: (id, negative where symmetric; name; edges). sources: (id, dataset, license).
concepts: (id, key, text, retrievable triples). edges: (head, relation, rank, tail, weight, source,
merged)."""
_VALUES = 1400
"""Values in one statement. Inserting many rows at once takes half the time of one at a time."""


class BaseBuilder:
    """One base file under construction. `stage` names its exact content."""

    def __init__(self, path: Path, stage: str) -> None:
        """Open what was built of `stage`, or start over. Raises what the disk and SQLite raise."""
        self._path = path
        if path.exists() and not _is_of(path, stage):
            remove(path)
        create_private(path)
        keep_private([path])
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(sql.BULK_PRAGMAS)
        self._most_values = min(
            _VALUES, self._connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        )
        if self._connection.execute(sql.GET_USER_VERSION).fetchone()[0] == 0:
            with transaction(self._connection):
                for statement in (*sql.BASE_SCHEMA.split(";"), sql.BULK_PROGRESS):
                    self._connection.execute(statement)
                self._connection.execute(sql.PUT_META, ("stage", stage))
                self._connection.execute(sql.PUT_USER_VERSION)

    def position(self, step: Step) -> int:
        """How far a step is committed."""
        row = self._connection.execute(sql.GET_PROGRESS, (step,)).fetchone()
        return row[0] if row else 0

    def add(self, step: Step, rows: Sequence[tuple[object, ...]], position: int) -> None:
        """Append a batch and note `position`, which is how far the step is then."""
        statement = _STATEMENTS[step]
        many = max(1, self._most_values // statement.count("?"))
        with transaction(self._connection):
            for start in range(0, len(rows), many):
                part = rows[start : start + many]
                values = list(chain.from_iterable(part))
                self._connection.execute(sql.with_rows(statement, len(part)), values)
            self._connection.execute(sql.PUT_PROGRESS, (step, position))

    def finish(self, meta: Mapping[str, str]) -> None:
        """Build the indexes and note `meta`. The file is then a base, and on disk."""
        for statement in sql.BASE_INDEXES.strip().split(";"):
            self._connection.execute(statement)
        self._connection.executescript(sql.ANALYZE_BASE)
        with transaction(self._connection):
            for key, value in {"schema_version": str(sql.BASE_SCHEMA_VERSION), **meta}.items():
                self._connection.execute(sql.PUT_META, (key, value))
            self._connection.execute(sql.DROP_PROGRESS)
        self.close()
        sync_file(self._path)

    def close(self) -> None:
        self._connection.close()


def _is_of(path: Path, stage: str) -> bool:
    """Whether a file is half-built of this stage. One that only had to be moved is not."""
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            row = connection.execute(sql.GET_META, ("stage",)).fetchone()
            connection.execute(sql.GET_PROGRESS, ("edges",)).fetchone()
    except sqlite3.Error:
        return False
    return row is not None and row[0] == stage


def remove(path: Path) -> None:
    """Delete a half-built file and its journal."""
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
