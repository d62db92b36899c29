"""Prepares the overlays' file before it is opened: creates it, checks it, or migrates it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from server.errors import DataLoss, StoreUnusable
from server.files import sync_file
from server.stores.sqlite import sql
from server.stores.sqlite.connection import connect, is_damage, log_of, transaction, translated
from server.stores.sqlite.private_files import create_private, keep_private
from server.stores.sqlite.rekeying import rekey

_TIMEOUT_S = 10.0

Migration = str | Callable[[sqlite3.Connection], None]
"""A script, or a function that works inside the open transaction."""


def _to_version_2(connection: sqlite3.Connection) -> None:
    for statement in _statements(sql.OVERLAY_INDEXES_2 + sql.RESPONSES_SCHEMA):
        connection.execute(statement)
    rekey(connection)


MIGRATIONS: Mapping[int, Migration] = {1: _to_version_2, 2: sql.TOMBSTONES_SCHEMA}
"""By version: what brings a file of that version to the next."""


def prepare_overlays(
    path: Path,
    version: int = sql.OVERLAY_SCHEMA_VERSION,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> None:
    """Create the file, or bring an older one up to date.

    Raises StoreUnusable for a newer or damaged file.
    """
    if not path.exists():
        _create(path, version)
    _require_not_cut(path)
    with _damage(path):
        connection = connect(path, _TIMEOUT_S)
    with contextlib.closing(connection):
        with _damage(path):
            found = _version(connection)
        if found is None:
            raise StoreUnusable(
                f"{path} is damaged or not a store (it has no schema version); restore it"
            )
        if found > version:
            raise StoreUnusable(
                f"{path} has schema version {found}, this service knows up to {version};"
                " update the service"
            )
        if found < version:
            _migrate(connection, path, found, version, migrations)
    for backup in _backups(path):  # a migration that was killed leaves its own
        backup.unlink(missing_ok=True)


def _require_not_cut(path: Path) -> None:
    if path.stat().st_size == 0:  # not ours: a new file is put in place with all its tables
        raise StoreUnusable(
            f"{path} is empty, which this service never leaves it;"
            " restore it, or delete it to start over"
        )


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            reason = " ".join(str(error).split())
            raise StoreUnusable(
                f"{path} is damaged or not a store: {reason}; restore it from a backup"
            ) from error
        raise


def schema_version(path: Path) -> int:
    """The schema version of an overlays' file, which stays as it is. Raises DataLoss."""
    with translated(), contextlib.closing(connect(path, _TIMEOUT_S)) as connection:
        found = _version(connection)
    if found is None:
        raise DataLoss(f"{path} is damaged or not a store (it has no schema version)")
    return found


def _version(connection: sqlite3.Connection) -> int | None:
    """The schema version; None where there is none that is a number."""
    row = connection.execute(sql.GET_META, ("schema_version",)).fetchone()
    text = str(row[0]) if row else ""
    return int(text[:9]) if text.isascii() and text.isdigit() else None


def missing(path: Path) -> str | None:
    """What is wrong with a folder that has no overlays' file; None where nothing is."""
    log = log_of(path)
    if log.exists() and log.stat().st_size:
        return (
            f"{path} is missing, but its log is there;"
            f" restore it, or delete {log.name} to start over"
        )
    return None


def _create(path: Path, version: int) -> None:
    """Make the file apart and put it in place whole, unless another server was faster."""
    if problem := missing(path):
        raise StoreUnusable(problem)
    making = path.with_name(f"{path.name}.making-{os.getpid()}")
    making.unlink(missing_ok=True)
    create_private(making)
    try:
        with contextlib.closing(sqlite3.connect(making, isolation_level=None)) as connection:
            connection.executescript(sql.OVERLAY_SCHEMA)
            connection.executescript(sql.OVERLAY_INDEXES_1)
            for step in range(1, version):
                _apply(connection, MIGRATIONS[step])
            connection.execute(sql.PUT_META, ("schema_version", str(version)))
        sync_file(making)
        with contextlib.suppress(FileExistsError):
            os.link(making, path)
    finally:
        making.unlink(missing_ok=True)
    sync_file(path.parent)


def _migrate(
    connection: sqlite3.Connection,
    path: Path,
    found: int,
    version: int,
    migrations: Mapping[int, Migration],
) -> None:
    """Run all steps in one transaction, which is checked before it commits.

    A backup exists only meanwhile, since users who are erased later must not be left in it.
    """
    backup = path.with_name(f"{path.name}.v{found}.{time.strftime('%Y%m%dT%H%M%S')}.bak")
    connection.execute(sql.TRUNCATE_WAL).fetchone()
    try:
        with transaction(connection, sql.BEGIN_EXCLUSIVE):
            found = _version(connection) or found  # another server may have been faster
            _back_up(path, backup)
            for step in range(found, version):
                if step not in migrations:
                    raise StoreUnusable(
                        f"{path} has schema version {found},"
                        f" which this service cannot bring to {version}"
                    )
                _apply(connection, migrations[step])
            connection.execute(sql.PUT_META, ("schema_version", str(version)))
            connection.execute(sql.OWE_SCRUB)  # for what was erased before there was scrubbing
            _require_sound(connection, path)
    except BaseException:
        backup.unlink(missing_ok=True)
        raise
    connection.execute(sql.TRUNCATE_WAL).fetchone()


def _back_up(path: Path, backup: Path) -> None:
    create_private(backup)
    shutil.copyfile(path, backup)
    keep_private([backup])
    sync_file(backup)


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    if callable(migration):
        migration(connection)
        return
    for statement in _statements(migration):
        connection.execute(statement)


def _require_sound(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute(sql.INTEGRITY).fetchone()[0]
    if found != "ok":
        reason = " ".join(str(found).split())
        raise StoreUnusable(
            f"{path} is damaged ({reason}) and cannot be brought up to date;"
            " restore it from a backup"
        )


def _backups(path: Path) -> Iterator[Path]:
    return path.parent.glob(f"{path.name}.v*.bak")


def _statements(script: str) -> list[str]:
    """A script's statements. `executescript` would commit the open transaction."""
    statements = [statement.strip() for statement in script.split(";")]
    return [statement for statement in statements if statement]
