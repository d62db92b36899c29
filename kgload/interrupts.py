"""Ctrl-C while a statement or an event loop works: it runs in a thread of its own, is told to stop, and is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

QUERY_INTERRUPTED = "Query interrupted"
"""DuckDB's RuntimeError in the place of a KeyboardInterrupt that meets a statement of the main thread."""
_POLL_S = 0.1


def run_beside(work: Callable[[], T], stop: Callable[[int], None], poll: Callable[[], None] = lambda: None) -> T:
    """What `work` returns, done in a thread of its own; `poll` is called meanwhile.

    On Ctrl-C `stop` is called with how often it was pressed, again and again until the work has ended, and the
    KeyboardInterrupt is raised. Nothing that the work uses is closed under it.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []
    # An event: a thread whose join is interrupted counts as ended in Python 3.11.
    ended = threading.Event()

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=run, name="kgload")
    presses = 0
    try:
        with _held_back():
            thread.start()
        while not ended.wait(_POLL_S):
            poll()
    except BaseException:
        presses += 1
        while thread.ident is not None and not ended.is_set():
            try:
                stop(presses)
                ended.wait(_POLL_S)
            except KeyboardInterrupt:
                presses += 1
        raise
    if failure:
        raise failure[0]
    return outcome[0]


def run_async(work: Coroutine[Any, Any, T], stop: Callable[[], None] = lambda: None) -> T:
    """What a coroutine returns. Ctrl-C calls `stop` and cancels it, once for each press, and is raised when it has ended."""
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


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """No Ctrl-C meanwhile: a thread is started or it is not."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
