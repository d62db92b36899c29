"""Commits that go together: those that wait for a lane share one statement and one transaction.

A commit costs this service and the database more for its own transaction than for what it writes.
While a lane is free, a commit goes at once and by itself. While all are taken, commits wait, and
then go together. Users share no failure and no wait for long: if their statement fails, or does
not end soon, each commit goes by itself, and who keeps a lane for long loses it to the next.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import neo4j

from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Connection
from server.stores.neo4j.rows import Row

LANES = 2
"""How many statements are under way before commits wait for each other. Fewer cost the processors
less, because more go together; with one, each half of 8 writers waits for the other half."""
MOST_TOGETHER = 32
MOST_MARKS = 32
"""How many marks a commit has at most to go with others: a long one would hold them up."""
_LANE_S = 0.05
"""How long a statement keeps its lane."""
_TOGETHER_S = 1.0
"""How long commits stay together. One of them may wait for a lock of its user's."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A commit that waits. `made` becomes None if it has to go by itself."""

    commit: Row
    made: asyncio.Future[neo4j.Record | None]


class _Lane:
    """A lane, until its statement has ended or has taken long."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._timer = asyncio.get_running_loop().call_later(_LANE_S, self.free)
        self._is_taken = True

    def free(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._timer.cancel()
            self._commits.freed()


class Commits:
    """Makes commits, alone or together."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._taken = 0
        self._waiting: deque[_Waiting] = deque()
        self._together: set[asyncio.Task[neo4j.Record]] = set()

    async def make(self, user: str, commit: Row) -> neo4j.Record:
        """Make a commit with the parameters of COMMIT. Raises StatementRefused."""
        marks = len(commit["added"]) + len(commit["deleted"]) + len(commit["marked"])
        if self._taken < LANES:
            lane = self._take()
            try:
                return await self._alone(user, commit)
            finally:
                lane.free()
        if marks > MOST_MARKS:
            return await self._alone(user, commit)
        waiting = _Waiting(commit, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        made = await waiting.made
        return made or await self._alone(user, commit, tried_before=True)

    async def close(self) -> None:
        """End what is under way. Each of its commits is tried by itself once more."""
        while self._together:
            for task in self._together:
                task.cancel()
            await asyncio.wait(self._together)

    async def _alone(self, user: str, commit: Row, *, tried_before: bool = False) -> neo4j.Record:
        return await self._connection.write_at_once(
            cypher.COMMIT, {"commits": [commit]}, user=user, tried_before=tried_before
        )

    def _take(self) -> _Lane:
        self._taken += 1
        return _Lane(self)

    def freed(self) -> None:
        """A lane is free: commits that wait go together."""
        self._taken -= 1
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < MOST_TOGETHER:
            waiting = self._waiting.popleft()
            if not waiting.made.done():  # or else its caller is gone
                batch.append(waiting)
        if batch:
            self._send(batch, self._take())

    def _send(self, batch: Sequence[_Waiting], lane: _Lane) -> None:
        """Begin to make commits together. Their callers are told when it has ended."""
        sent = self._connection.write_at_once(
            cypher.COMMIT, {"commits": [waiting.commit for waiting in batch]}, _TOGETHER_S
        )
        # In a context of its own: no caller's deadline is that of all.
        task = asyncio.get_running_loop().create_task(sent, context=contextvars.Context())
        self._together.add(task)

        def ended(task: asyncio.Task[neo4j.Record]) -> None:
            self._together.discard(task)
            lane.free()
            made = None if task.cancelled() or task.exception() else task.result()
            for waiting in batch:
                if not waiting.made.done():
                    waiting.made.set_result(made)

        def left(_: object) -> None:
            if all(waiting.made.done() for waiting in batch):
                task.cancel()

        task.add_done_callback(ended)
        for waiting in batch:
            waiting.made.add_done_callback(left)
