"""How far a run is: a bar on a terminal, and a line now and then elsewhere. On stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from evaluation.paper.time_left import TimeLeft, in_words

_LINE_EVERY_S = 30.0


class ProgressBar:
    """Shows one part of a run at a time, and how long the whole run still takes."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._is_terminal = console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=not self._is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, left="")
        self._what, self._done, self._steps, self._step_s = "", 0, 0, 0.0
        self._time = TimeLeft(0.0)
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

    def expect(self, run_s: float) -> None:
        """All parts together are expected to take so long."""
        self._time = TimeLeft(run_s)

    def begin(self, what: str, steps: int, part_s: float, done: int = 0) -> None:
        """Begin a part of so many steps, which is expected to take so long.

        The first `done` steps were made by an earlier run.
        """
        self._what, self._done, self._steps = what, done, steps
        self._step_s = part_s / steps if steps else 0.0
        self._time.begin(part_s, done * self._step_s)
        self._bar.reset(self._task, description=what, total=steps, completed=done, left=self._left)

    def step(self) -> None:
        """One step more is done."""
        self._done += 1
        self._time.advance(self._step_s)
        self._bar.update(self._task, advance=1, left=self._left)
        if not self._is_terminal and time.monotonic() - self._told_s >= _LINE_EVERY_S:
            self._told_s = time.monotonic()
            text = f"{self._what}: {self._done} of {self._steps}, {self._left}"
            print(text, file=sys.stderr, flush=True)

    @property
    def _left(self) -> str:
        return f"{in_words(self._time.left_s)} left of the run"
