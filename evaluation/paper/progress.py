"""How far a run is: a bar on a terminal, and a line now and then elsewhere. On stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY_S = 30.0


class ProgressBar:
    """Shows one part of a run at a time."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._is_terminal = console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not self._is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._what, self._done, self._steps = "", 0, 0
        self._told_s = time.monotonic()

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def begin(self, what: str, steps: int) -> None:
        """Begin a part of so many steps."""
        self._what, self._done, self._steps = what, 0, steps
        self._bar.reset(self._task, description=what, total=steps)

    def step(self) -> None:
        """One step more is done."""
        self._done += 1
        self._bar.advance(self._task)
        if not self._is_terminal and time.monotonic() - self._told_s >= _LINE_EVERY_S:
            self._told_s = time.monotonic()
            print(f"{self._what}: {self._done} of {self._steps}", file=sys.stderr, flush=True)
