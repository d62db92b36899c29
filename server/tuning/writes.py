"""How a user's writes go: one after the other, each answered once, none cut in the middle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from server.errors import RequestIdReused, RevisionMoved
from server.graph.edit import Edit
from server.tuning.ports import Erased, GraphStore, RequestRecord, Snapshot

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A write's request id and a hash of its content without the id."""

    request_id: str
    content_hash: str


class UserTurns:
    """A queue for each user's writes inside this process. Other processes are told apart by
    revision at the commit."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """Wait until this user's earlier writes are done; those after wait for this one."""
        lock, waiting = self._locks.get(user, (asyncio.Lock(), 0))
        self._locks[user] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._locks[user]
            if waiting == 1:
                del self._locks[user]
            else:
                self._locks[user] = (lock, waiting - 1)


async def uncut(work: Awaitable[T]) -> T:
    """Do `work` to its end even when the caller is cancelled meanwhile; the cancellation comes
    after it."""
    task = asyncio.ensure_future(work)
    # Nobody awaits the task after a cancellation, and asyncio logs what it failed with unless that
    # was looked at.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait({task})
        raise


@dataclass(frozen=True, slots=True)
class Write:
    """What a write came to: the response, and the edits to commit with it (none where nothing
    changes)."""

    response: bytes
    edits: Sequence[Edit]


class Writer:
    """Runs writes: replays repeated requests, commits response and edits together, recomputes a
    lost race once."""

    def __init__(self, store: GraphStore) -> None:
        self.store = store
        self._turns = UserTurns()

    async def run(
        self,
        user: str,
        key: RequestKey | None,
        expected_revision: int | None,
        compute: Callable[[Snapshot], Awaitable[Write]],
    ) -> bytes:
        """The response of `compute`, committed with its edits, or of the earlier request with this
        key.

        With a key, a response without edits is kept too: what is repeated later may not be without
        effect then.

        Raises RequestIdReused, RevisionMoved (a second lost race, or `expected_revision` does not
        match) and OverlayErased.
        """
        async with self._turns.turn(user):
            for last_try in (False, True):
                if (earlier := await self._earlier(user, key)) is not None:
                    return earlier
                snapshot = await self.store.snapshot(user)
                if expected_revision is not None and expected_revision != snapshot.revision:
                    raise RevisionMoved(expected_revision, snapshot.revision)
                write = await compute(snapshot)
                record = (
                    None
                    if key is None
                    else RequestRecord(key.request_id, key.content_hash, write.response)
                )
                if not write.edits and record is None:
                    return write.response
                try:
                    await uncut(self.store.commit(user, snapshot, write.edits, record))
                except RevisionMoved:
                    if last_try or expected_revision is not None:
                        raise
                    continue
                return write.response
        raise AssertionError("the second try returns or raises")

    async def _earlier(self, user: str, key: RequestKey | None) -> bytes | None:
        if key is None:
            return None
        record = await self.store.response(user, key.request_id)
        if record is None:
            return None
        if record.content_hash != key.content_hash:
            raise RequestIdReused
        return record.response

    async def erase(self, user: str, request_id: str | None) -> Erased:
        """Erase `user` once the writes before it are done. The store knows a repeated `request_id`."""
        async with self._turns.turn(user):
            return await uncut(self.store.erase(user, request_id))
