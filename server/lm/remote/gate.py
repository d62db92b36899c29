"""Lets a bounded number of requests through to the model's server, those of older calls first."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Iterator

from server.errors import DeadlinePassed, ModelBusy
from server.tuning.deadline import call_deadline
from server.tuning.ticket import Ticket, call_ticket


class Gate:
    """At most `most` requests are in flight, and at most `capacity` calls that have not begun wait.

    Belongs to one event loop.
    """

    def __init__(self, most: int, capacity: int) -> None:
        self._free = most
        self._capacity = capacity
        self._numbers = itertools.count()
        self._arrivals = itertools.count()
        self._not_begun: set[Ticket] = set()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """The number of each one's call, and of itself, which decides between those of one call."""

    @property
    def waiting(self) -> int:
        """The calls that have had no turn yet."""
        return len(self._not_begun)

    @contextlib.contextmanager
    def place(self) -> Iterator[Ticket]:
        """The ticket of this call, which has a place in the queue. Raises ModelBusy if it is full.

        The work of a call that has begun is taken even then.
        """
        ticket = call_ticket.get() or Ticket()
        if ticket.began is None:
            if self.waiting >= self._capacity + self._free:
                raise ModelBusy(
                    f"{self.waiting} requests are waiting for the model already; try again",
                    retry_after_s=1.0,
                )
            self._not_begun.add(ticket)
        if ticket.number is None:
            ticket.number = next(self._numbers)
        try:
            yield ticket
        finally:
            self._not_begun.discard(ticket)

    @contextlib.asynccontextmanager
    async def turn(self, ticket: Ticket) -> AsyncIterator[None]:
        """Wait for a turn, and have it. Raises DeadlinePassed if it does not come in time."""
        async with within_deadline():
            await self._wait(ticket)
        if ticket.began is None:
            ticket.began = time.monotonic()
            self._not_begun.discard(ticket)
        try:
            yield
        finally:
            ticket.ended = time.monotonic()
            self._pass_on()

    async def _wait(self, ticket: Ticket) -> None:
        assert ticket.number is not None, "`place` draws it"
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (ticket.number, next(self._arrivals), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if (
                turn.done() and not turn.cancelled()
            ):  # the turn came, and nobody is there to have it
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give the turn that has become free to the oldest call that waits."""
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


@contextlib.asynccontextmanager
async def within_deadline() -> AsyncIterator[None]:
    """Raise DeadlinePassed once the call's deadline has passed, or if it has already."""
    deadline = call_deadline.get()
    if deadline is None:
        yield
        return
    left_s = deadline - time.monotonic()
    try:
        if left_s <= 0:
            raise TimeoutError
        async with asyncio.timeout(left_s):
            yield
    except TimeoutError:
        raise DeadlinePassed(
            "the deadline passed before the model's server answered", retry_after_s=None
        ) from None
