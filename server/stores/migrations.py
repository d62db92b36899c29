"""Opening the overlays' file: created, checked, or brought up to date with a backup of what it was."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

from server.errors import StoreUnusable
from server.stores import sql

MIGRATIONS: Mapping[int, str] = {1: sql.RESPONSES_SCHEMA}
"""version -> the SQL that brings a file of that version to the next one."""


def prepare_overlays(
    path: Path, version: int = sql.OVERLAY_SCHEMA_VERSION, migrations: Mapping[int, str] = MIGRATIONS
) -> None:
    """Create the file, or migrate an older one after a backup beside it. Raises StoreUnusable for a newer one."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
    try:
        connection.executescript(sql.CONNECTION_PRAGMAS)
        found = _version(connection)
        if found is None:
            _create(connection, version)
        elif found > version:
            raise StoreUnusable(
                f"{path} has schema version {found}, this service knows up to {version}; update the service"
            )
        elif found < version:
            _migrate(connection, path, found, version, migrations)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise StoreUnusable(f"{path} is damaged or no store: {error}; restore it from a backup") from error
        raise
    finally:
        connection.close()


def _version(connection: sqlite3.Connection) -> int | None:
    tables = connection.execute("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'meta'").fetchone()[0]
    if not tables:
        return None
    row = connection.execute(sql.GET_META, ("schema_version",)).fetchone()
    return None if row is None else int(row[0])


def _create(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if _version(connection) is None:  # another server may have been faster
        for statement in _statements(sql.OVERLAY_SCHEMA + sql.RESPONSES_SCHEMA):
            connection.execute(statement)
        connection.execute(sql.PUT_META, ("schema_version", str(version)))
    connection.execute("COMMIT")


def _migrate(
    connection: sqlite3.Connection, path: Path, found: int, version: int, migrations: Mapping[int, str]
) -> None:
    backup = path.with_name(f"{path.name}.v{found}.{time.strftime('%Y%m%dT%H%M%S')}.bak")
    connection.execute(sql.TRUNCATE_WAL).fetchone()
    connection.execute("BEGIN EXCLUSIVE")
    try:
        shutil.copy2(path, backup)
        for step in range(found, version):
            if step not in migrations:
                raise StoreUnusable(f"{path} has schema version {found}, which this service cannot bring to {version}")
            for statement in _statements(migrations[step]):
                connection.execute(statement)
        connection.execute(sql.PUT_META, ("schema_version", str(version)))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _statements(script: str) -> list[str]:
    """A script's statements, so that they run inside the open transaction (`executescript` would commit it)."""
    return [statement for statement in (s.strip() for s in script.split(";")) if statement]
