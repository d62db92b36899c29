"""Ctrl-C during a statement or an event loop.

The work runs in its own thread. On Ctrl-C it is told to stop, and the main thread waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

QUERY_INTERRUPTED = "Query interrupted"
"""DuckDB raises RuntimeError with this text when Ctrl-C meets a statement in the main thread."""
_POLL_S = 0.1


def run_in_thread(
    work: Callable[[], T], stop: Callable[[int], None], poll: Callable[[], None] = lambda: None
) -> T:
    """Run `work` in its own thread and return its result; `poll` is called in the meantime.

    On Ctrl-C, `stop` is called with the number of presses, again and again until the work has
    ended; then the KeyboardInterrupt is raised. So nothing that the work uses is closed too early.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []
    # An event, because in Python 3.11 a thread counts as ended when its join is interrupted.
    ended = threading.Event()
    begun = threading.Lock()
    """The first to acquire it wins: the thread begins the work, or this function calls it off."""

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
    """Run a coroutine in its own thread and return its result.

    Each Ctrl-C calls `stop` and cancels the coroutine. KeyboardInterrupt is raised when it has
    ended.
    """
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
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(task.cancel)

    return run_in_thread(run, cancel)


async def _result(task: asyncio.Task[T]) -> T:
    return await task
