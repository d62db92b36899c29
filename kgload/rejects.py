"""Malformed lines: shown on the terminal, written to a file, and counted against `--max-errors`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from kgload.errors import LoadError, TooManyErrors
from kgload.limits import Limits
from kgload.lines import BadLine
from kgload.report import Report

SHOWN_ERRORS = 20


class Rejects:
    """Where the malformed lines of the file at `source` are told."""

    def __init__(self, source: Path, limits: Limits, report: Report) -> None:
        self._source, self._limits, self._report = source, limits, report

    def tell(self, bad: Sequence[BadLine]) -> None:
        """Show the first lines and write all of them, with their numbers and reasons."""
        if not bad:
            return
        for line in bad[:SHOWN_ERRORS]:
            self._report.note(f"line {line.number}: {line.reason}")
        path = self._limits.rejects
        if path is not None:
            self._write(bad, path)
        more = len(bad) - SHOWN_ERRORS
        if more > 0 or path is not None:
            rest = f"... and {more} more; " if more > 0 else ""
            self._report.note(f"{rest}all malformed lines are in {path}")

    @property
    def most(self) -> int:
        """How many malformed lines are looked for: enough to know that a load stops."""
        return self._limits.max_errors + 1

    def are_too_many(self, count: int) -> bool:
        """Whether the load stops at `count` malformed lines."""
        return count > self._limits.max_errors

    def stop(self, count: int) -> NoReturn:
        """Raise TooManyErrors."""
        path = self._limits.rejects
        where = f"; the first are in {path}" if path else ""
        raise TooManyErrors(
            f"{count:,} malformed lines are more than --max-errors {self._limits.max_errors:,}"
            f"{where}; nothing was changed"
        )

    def _write(self, bad: Sequence[BadLine], path: Path) -> None:
        """Number, reason and text of each line, the text as its owner wrote it."""
        try:
            if path.exists() and path.samefile(self._source):
                raise LoadError(
                    f"--rejects {path} is the file that is loaded: name another;"
                    " nothing was changed"
                )
            with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.writelines(f"{line.number}\t{line.reason}\t{line.text}\n" for line in bad)
        except OSError as error:
            raise LoadError(f"--rejects {path}: {error.strerror}; nothing was changed") from error
