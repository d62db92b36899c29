"""Ctrl-C while a statement or an event loop works: it runs in a thread of its own, is told to stop,
and is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

QUERY_INTERRUPTED = "Query interrupted"
"""DuckDB's RuntimeError in the place of a KeyboardInterrupt that meets a statement of the main
thread."""
_POLL_S = 0.1


def run_beside(
    work: Callable[[], T], stop: Callable[[int], None], poll: Callable[[], None] = lambda: None
) -> T:
    """What `work` returns, done in a thread of its own; `poll` is called meanwhile.

    On Ctrl-C `stop` is called with how often it was pressed, again and again until the work has
    ended, and the KeyboardInterrupt is raised. Nothing that the work uses is closed under it.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []
    # An event: a thread whose join is interrupted counts as ended in Python 3.11.
    ended = threading.Event()
    begun = threading.Lock()
    """Whoever has it first decides: the thread, that it works, or who starts it, that it never
    will."""

    def run() -> None:
        try:
            if begun.acquire(blocking=False):
                outcome.append(work())
        except BaseException as error:
            failure.append(error)
        finally:
            ended.set()

    try:
        threading.Thread(target=run, name="kgload").start()
        while not ended.wait(_POLL_S):
            poll()
    except BaseException:
        presses = 1
        while not ended.is_set():
            try:
                if begun.acquire(blocking=False):
                    break
                stop(presses)
                ended.wait(_POLL_S)
            except KeyboardInterrupt:
                presses += 1
        raise
    if failure:
        raise failure[0]
    return outcome[0]


def run_async(work: Coroutine[Any, Any, T], stop: Callable[[], None] = lambda: None) -> T:
    """What a coroutine returns. Ctrl-C calls `stop` and cancels it, once for each press, and is
    raised when it has ended."""
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    loop = runner.get_loop()
    task = loop.create_task(work)
    cancelled = 0

    def run() -> T:
        with runner:
            return runner.run(_result(task))

    def cancel(presses: int) -> None:
        nonlocal cancelled
        stop()
        if presses > cancelled:
            cancelled = presses
            with contextlib.suppress(RuntimeError):  # the loop has ended since
                loop.call_soon_threadsafe(task.cancel)

    return run_beside(run, cancel)


async def _result(task: asyncio.Task[T]) -> T:
    return await task
