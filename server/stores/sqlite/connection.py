"""Connections to the overlays' file, transactions, and SQLite's errors as this service's."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from server.errors import DataLoss, Internal, KgtError, StoreBusy, StoreFull
from server.stores.rules.statements import Statements
from server.stores.sqlite import sql

DAMAGED = "the store's file is damaged; stop the server and run `python -m server check`"
_UNUSABLE = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
)
_NOT_AS_WRITTEN = ("no such table", "no such column", "Could not decode")
watched = Statements(sql).watched

Identity = tuple[int, int]
"""Device and inode of a file."""


def connect(path: Path, timeout_s: float) -> sqlite3.Connection:
    """A connection to an existing overlays' file. Statements wait `timeout_s` for locks."""
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=timeout_s,
    )
    try:
        connection.text_factory = _text
        connection.executescript(sql.CONNECTION_PRAGMAS)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction in which all reads see one moment. It changes nothing."""
    connection.execute(sql.BEGIN)
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute(sql.ROLLBACK)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, begin: str = sql.BEGIN_WRITING) -> Iterator[None]:
    """A transaction that commits all that is done in it, or nothing where it raises."""
    connection.execute(begin)
    try:
        yield
        with watched(sql.COMMIT):
            connection.execute(sql.COMMIT)
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back already
            connection.execute(sql.ROLLBACK)
        raise


def _text(stored: bytes) -> str | bytes:
    """A text, or its bytes where it is not UTF-8, so that only this row counts as damaged."""
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored


def identity(path: Path) -> Identity | None:
    """Which file is at `path` now; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def log_of(path: Path) -> Path:
    """The write-ahead log of the file at `path`."""
    return path.with_name(f"{path.name}-wal")


class FileWatch:
    """Watches whether the files that a store has open are still those at their paths.

    A file that is deleted or replaced while it is open still accepts writes, and loses them.
    """

    def __init__(self, *files: Path) -> None:
        """Remember which files are at these paths now."""
        found = {file: identity(file) for file in files}
        self._open = {file: opened for file, opened in found.items() if opened is not None}

    def require_same(self) -> None:
        """Raise DataLoss when one of the files is gone or another is in its place."""
        for file, opened in self._open.items():
            if identity(file) != opened:
                raise DataLoss(
                    f"{file.name} was deleted or replaced while the server runs, so nothing is"
                    " written any more; put it back, or restart the server to use the file there"
                )


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise SQLite's errors and the disk's as this service's."""
    try:
        yield
    except KgtError:
        raise
    except sqlite3.Error as error:
        raise translation(error) from error
    except OSError as error:
        raise StoreBusy(f"the store's files cannot be reached: {error.strerror}") from error


def translation(error: sqlite3.Error) -> KgtError:
    """The error of this service that one of SQLite's means to the caller."""
    code = _code(error)
    if is_locked(error):
        return StoreBusy("the store is locked by another process; try again")
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(
            "the disk that holds the store is full; free some room and try again",
            retry_after_s=10.0,
        )
    if is_damage(error):
        return DataLoss(DAMAGED)
    if code in _UNUSABLE:
        return StoreBusy(
            f"the store's file cannot be used now ({error}); check the disk and its permissions"
        )
    return Internal(f"the store failed ({type(error).__name__})")


def is_locked(error: sqlite3.Error) -> bool:
    """Whether somebody else holds the lock."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether a file is not as SQLite wrote it, or lacks its tables."""
    if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return True
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith(_NOT_AS_WRITTEN)


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
