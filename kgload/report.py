"""What the loader prints: progress while it works, and tables at the end.

Progress is a bar on a terminal, and plain lines elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that a terminal obeys or draws in another place, and those that cannot be written."""
_PLAIN_EVERY = 0.25
"""Without a terminal, a phase reports its progress at every quarter."""


class Phase:
    """One part of the work, with its progress."""

    def __init__(
        self, name: str, rows: int | None, bar: Progress | None, out: TextIO | None
    ) -> None:
        self._name, self._rows, self._bar, self._out = name, rows, bar, out
        self._started = time.monotonic()
        self._told = 0.0
        self._furthest = 0.0
        self._task: TaskID | None = bar.add_task(name, total=1.0, rate="") if bar else None

    def at(self, fraction: float | None) -> None:
        """Show that this fraction of the work is done (None: unknown)."""
        if self._bar is not None and self._task is not None:
            # A phase of several statements starts again with each one. The bar never runs back.
            self._furthest = max(self._furthest, fraction or 0.0)
            self._bar.update(self._task, completed=self._furthest, rate=self._rate(fraction))
        elif (
            self._out
            and fraction is not None
            and fraction - self._told >= _PLAIN_EVERY
            and fraction < 1
        ):
            self._told = fraction
            _write(self._out, f"{self._name}: {fraction:.0%} {self._rate(fraction)}".rstrip())

    def _rate(self, fraction: float | None) -> str:
        elapsed = time.monotonic() - self._started
        if not self._rows or not fraction or elapsed < 0.5:
            return ""
        done = int(self._rows * fraction)
        return f"{done:,} of {self._rows:,} rows, {done / elapsed:,.0f}/s"

    def done(self, failed: bool) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task, completed=self._furthest if failed else 1.0, rate=self._rate(1.0)
            )
        elif self._out and not failed:
            _write(self._out, f"{self._name}: done in {time.monotonic() - self._started:.1f} s")


class Report:
    """Prints progress to `err` and results to `out`."""

    def __init__(
        self, out: TextIO | None = None, err: TextIO | None = None, *, quiet: bool = False
    ) -> None:
        self._out, self._err = out or sys.stdout, err or sys.stderr
        self._quiet = quiet
        self._console = Console(file=self._out, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None

    @contextlib.contextmanager
    def phase(self, name: str, rows: int | None = None) -> Iterator[Phase]:
        """Show the progress of one part of the work while it runs."""
        if self._quiet:
            yield Phase(name, rows, None, None)
            return
        with self._shown() as bar:
            phase = Phase(name, rows, bar, self._err)
            failed = True
            try:
                yield phase
                failed = False
            finally:
                phase.done(failed)

    @contextlib.contextmanager
    def _shown(self) -> Iterator[Progress | None]:
        if not self._err.isatty():
            yield None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(file=self._err)) as bar:
            yield bar

    def line(self, text: str) -> None:
        """Print a line of the result."""
        _write(self._out, text)

    def note(self, text: str) -> None:
        """Print a line about the work."""
        _write(self._err, text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table: drawn with numbers to the right on a terminal, tab-separated elsewhere."""
        if not self._out.isatty():
            self.line(f"{title}: " + ", ".join(columns))
            for row in rows:
                self.line("\t".join(_cell(value) for value in row))
            return
        drawn = Table(title=title, title_justify="left")
        for at, name in enumerate(columns):
            numbers = rows and isinstance(rows[0][at], int | float)
            drawn.add_column(name, justify="right" if numbers else "left")
        for row in rows:
            # As Text, because rich would take a name like "[red]" for markup.
            drawn.add_row(*(Text(printable(_cell(value))) for value in row))
        self._console.print(drawn)


def _write(out: TextIO, text: str) -> None:
    """Write a line in one piece.

    When the reader has gone (`| head`), all further output is dropped, and the work goes on.
    """
    try:
        # In one call: a Ctrl-C between two would leave half a line.
        out.write(printable(text) + "\n")
        out.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, out.fileno())
        os.close(nowhere)


def printable(text: str) -> str:
    """`text` with control characters escaped as in JSON; line ends and tabs stay."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
