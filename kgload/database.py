"""DuckDB as the loader uses it: within the limits of a load, and open to Ctrl-C."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
from numpy.typing import NDArray

from kgload.errors import DiskFull, LoadError
from kgload.interrupts import run_in_thread
from kgload.limits import Limits
from kgload.report import Phase
from kgload.source import damaged, truncated

DUCKDB_SHARE = 0.6
"""DuckDB keeps its buffers within its limit; the process around it needs the rest."""


class Database:
    """A DuckDB in memory that keeps to the limits and spills to a folder. Close it after use."""

    def __init__(self, limits: Limits, spill: Path) -> None:
        self._connection = duckdb.connect()
        self._functions: list[str] = []
        memory = f"{int(limits.memory_bytes * DUCKDB_SHARE) >> 20}MiB"
        self.execute("SET memory_limit = ?", [memory])
        self.execute("SET threads = ?", [limits.threads])
        self.execute("SET temp_directory = ?", [str(spill)])
        self.execute(
            "SET enable_progress_bar = true; SET enable_progress_bar_print = false;"
            " SET progress_bar_time = 0"
        )

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for name in self._functions:
            with contextlib.suppress(duckdb.Error):
                self._connection.remove_function(name)
        self._connection.close()

    def define(self, name: str, function: Callable[[str], str]) -> None:
        """Let statements call `function`, from text to text, by `name`."""
        self._connection.create_function(name, function, ["VARCHAR"], "VARCHAR")
        self._functions.append(name)

    def execute(self, query: str, parameters: Any = None) -> duckdb.DuckDBPyConnection:
        """Run a short statement in this thread."""
        if parameters is None:
            return self._connection.execute(query)
        return self._connection.execute(query, parameters)

    def do(self, query: str, phase: Phase, parameters: Mapping[str, object] | None = None) -> None:
        """Run a long statement in its own thread and show its progress; Ctrl-C interrupts it."""

        def show() -> None:
            fraction = self._connection.query_progress() / 100
            if 0 <= fraction <= 1:
                phase.at(fraction)

        run_in_thread(lambda: self.execute(query, parameters), lambda _: self.interrupt(), show)

    def rows(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.execute(query, parameters).fetchall()

    def number(self, query: str) -> int:
        """The single number that a query yields; 0 for NULL."""
        return int(self.rows(query)[0][0] or 0)

    def batches(
        self, query: str, parameters: Sequence[object], size: int
    ) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query, `size` at a time. Several such queries can be open at once."""
        result = self._connection.cursor().execute(query, parameters)
        while rows := result.fetchmany(size):
            yield rows

    def columns(self, query: str, parameters: Sequence[object]) -> dict[str, NDArray[Any]]:
        """All rows of a query, by column. Several threads may ask at once."""
        return self._connection.cursor().execute(query, parameters).fetchnumpy()

    def interrupt(self) -> None:
        """Stop the statement that another thread is running."""
        self._connection.interrupt()


def quoted(path: Path) -> str:
    """A path as an SQL literal, for statements that take no parameter in its place."""
    return "'" + str(path).replace("'", "''") + "'"


def translated(error: Exception, name: str, folder: Path) -> LoadError:
    """The error of DuckDB, SQLite or the disk as one of this loader's; `name` is the file read."""
    text = str(error)
    if "No space left" in text or "max_temp_directory_size" in text or "disk is full" in text:
        free = shutil.disk_usage(folder.parent if not folder.exists() else folder).free
        return DiskFull(
            f"the disk under {folder} is full ({free >> 20:,} MiB free): free some room,"
            " then run it again"
        )
    if "Unexpected end of GZIP" in text:
        return truncated(name)
    if "gzip" in text.casefold() or "miniz" in text.casefold():
        return damaged(name)
    if isinstance(error, duckdb.OutOfMemoryException):
        return LoadError("the memory limit is too small for this file: give --memory more")
    if isinstance(error, OSError):
        return LoadError(f"{name}: {error.strerror or error}")
    return LoadError(f"{name} cannot be read: {text.splitlines()[0]}")
