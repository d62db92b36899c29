"""The threads of the embedded store: one writes, several read, and no user occupies them all."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

READERS = 4
MOST_OF_A_USER = READERS // 2
"""How many readers one user's reads occupy at once. The user's other reads wait."""

R = TypeVar("R")


class Threads:
    """Runs a store's reads and writes, each in the context of its caller.

    Work that is cancelled before it starts is not done.
    """

    def __init__(self) -> None:
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-write")
        self._places = _Places(MOST_OF_A_USER)
        self._writes: dict[Future[object], float] = {}

    async def read(self, user: str, work: Callable[[], R]) -> R:
        """Do `work` on a reader's thread, in the user's turn."""
        await self._places.take(user)
        loop = asyncio.get_running_loop()
        try:
            job = self._readers.submit(copy_context().run, work)
        except BaseException:
            self._places.give_back(user)
            raise

        # When the thread is done, not the caller: one who leaves does not free the thread
        def give_back(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._places.give_back, user)

        job.add_done_callback(give_back)
        return await asyncio.wrap_future(job)

    async def write(self, work: Callable[[], R]) -> R:
        """Do `work` on the writer's thread, after all earlier writes."""
        asked = time.monotonic()
        job: Future[R] = self._writer.submit(copy_context().run, work)
        self._writes[job] = asked  # type: ignore[index]
        job.add_done_callback(lambda done: self._writes.pop(done, None))  # type: ignore[arg-type]
        return await asyncio.wrap_future(job)

    def oldest_write_s(self) -> float:
        """How long the oldest write has been waiting or under way."""
        return time.monotonic() - min(list(self._writes.values()), default=time.monotonic())

    def close(self) -> None:
        """Finish what is under way. May be called twice."""
        self._writer.shutdown(wait=True)
        self._readers.shutdown(wait=True)


class _Places:
    """A number of places for each user. Those who find none wait for one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._users: dict[str, tuple[asyncio.Semaphore, int]] = {}

    async def take(self, user: str) -> None:
        semaphore, holders = self._users.get(user, (None, 0))
        semaphore = semaphore or asyncio.Semaphore(self._most)
        self._users[user] = (semaphore, holders + 1)
        try:
            await semaphore.acquire()
        except BaseException:
            self._leave(user)
            raise

    def give_back(self, user: str) -> None:
        self._users[user][0].release()
        self._leave(user)

    def _leave(self, user: str) -> None:
        semaphore, holders = self._users[user]
        if holders == 1:
            del self._users[user]
        else:
            self._users[user] = (semaphore, holders - 1)
