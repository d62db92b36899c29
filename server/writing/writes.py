"""What makes a write a write, whatever the use case.

Each user's writes take turns. A repeated request id gets the first response again. The edits are
committed together with the response. A write that lost a race is computed once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, overload

from server.errors import RequestIdReused, RevisionMoved
from server.graph.edit import Edit
from server.tuning.ports import GraphStore, RequestRecord, Snapshot
from server.writing.turns import UserTurns, uncut


class Proposal(Protocol):
    """What a use case returns: a value with the edits to commit."""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """Empty for a preview and where nothing changes."""
        ...


Outcome = TypeVar("Outcome", bound=Proposal)
Response = TypeVar("Response")

Propose: TypeAlias = Callable[[Snapshot], Awaitable[Outcome]]
"""A use case with its command: from where the user's overlay stands to what should change."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A write's request id, and a hash of its content without the id."""

    request_id: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class Reply(Generic[Outcome, Response]):
    """How an outcome becomes a response, and how the response is kept for a repeated request.

    `respond` may raise: nothing has been written when it is called.
    """

    respond: Callable[[Outcome], Response]
    encode: Callable[[Response], bytes]
    decode: Callable[[bytes], Response]


class Writes:
    """Runs writes."""

    def __init__(self, store: GraphStore, turns: UserTurns) -> None:
        self._store = store
        self._turns = turns

    @overload
    async def run(
        self, user: str, propose: Propose[Outcome], *, expected_revision: int | None = None
    ) -> Outcome: ...

    @overload
    async def run(
        self,
        user: str,
        propose: Propose[Outcome],
        reply: Reply[Outcome, Response],
        key: RequestKey | None,
        *,
        expected_revision: int | None = None,
    ) -> Response: ...

    async def run(
        self,
        user: str,
        propose: Propose[Any],
        reply: Reply[Any, Any] | None = None,
        key: RequestKey | None = None,
        *,
        expected_revision: int | None = None,
    ) -> Any:
        """Commit the edits that `propose` returns. Returns the outcome, or the `reply` made of it.

        With a `key`, the response is kept, also without edits: a repetition changes nothing, even
        where it would have an effect by then.

        Raises RequestIdReused, OverlayErased, and RevisionMoved (for a second lost race, or where
        `expected_revision` does not match).
        """
        async with self._turns.turn(user):
            for last_try in (False, True):
                if reply and key and (kept := await self._kept(user, key)) is not None:
                    return reply.decode(kept)
                snapshot = await self._store.snapshot(user)
                if expected_revision is not None and expected_revision != snapshot.revision:
                    raise RevisionMoved(expected_revision, snapshot.revision)
                outcome = await propose(snapshot)
                response = reply.respond(outcome) if reply else outcome
                record = _record(reply.encode(response), key) if reply and key else None
                try:
                    await self._commit(user, snapshot, outcome, record)
                except RevisionMoved:
                    if last_try or expected_revision is not None:
                        raise
                    continue
                return response
        raise AssertionError("the second try returns or raises")

    async def _kept(self, user: str, key: RequestKey) -> bytes | None:
        """The response to an earlier request with this key."""
        record = await self._store.response(user, key.request_id)
        if record is None:
            return None
        if record.content_hash != key.content_hash:
            raise RequestIdReused
        return record.response

    async def _commit(
        self, user: str, snapshot: Snapshot, outcome: Proposal, record: RequestRecord | None
    ) -> None:
        if outcome.edits or record is not None:
            await uncut(self._store.commit(user, snapshot, outcome.edits, record))


def _record(response: bytes, key: RequestKey) -> RequestRecord:
    return RequestRecord(key.request_id, key.content_hash, response)
