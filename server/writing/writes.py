"""What makes a write a write, whatever the use case.

Each user's writes take turns. A repeated request id gets the first response again. The edits are
committed together with the response. A write that lost a race is computed once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from server.errors import RequestIdReused, RevisionMoved
from server.graph.edit import Edit
from server.tuning.ports import GraphStore, RequestRecord, Snapshot
from server.tuning.watching import call_watch
from server.writing.quotas import Room
from server.writing.turns import UserTurns, uncut


class Proposal(Protocol):
    """What a use case returns: a value with the edits to commit."""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """Empty for a preview, and where nothing changes."""
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
class Kept(Generic[Response]):
    """How a response is kept, so that a repeated request gets it again."""

    key: RequestKey
    encode: Callable[[Response], bytes]
    decode: Callable[[bytes], Response]

    def record(self, response: Response) -> RequestRecord:
        """The response as it is committed."""
        return RequestRecord(self.key.request_id, self.key.content_hash, self.encode(response))

    def response(self, record: RequestRecord) -> Response:
        """The response in `record`. Raises RequestIdReused where the request was another one."""
        if record.content_hash != self.key.content_hash:
            raise RequestIdReused
        return self.decode(record.response)


class Writes:
    """Runs writes: `propose` says what should change, the rest is done here."""

    def __init__(self, store: GraphStore, turns: UserTurns, room: Room | None = None) -> None:
        """Without `room`, users may write as much as they like."""
        self._store = store
        self._turns = turns
        self._room = room

    async def run(
        self, user: str, propose: Propose[Outcome], *, expected_revision: int | None = None
    ) -> Outcome:
        """Commit the edits of an outcome, and return it. Nothing is kept for a repetition."""
        return await self.respond(
            user, propose, lambda outcome: outcome, None, expected_revision=expected_revision
        )

    async def respond(
        self,
        user: str,
        propose: Propose[Outcome],
        response_to: Callable[[Outcome], Response],
        kept: Kept[Response] | None,
        *,
        expected_revision: int | None = None,
    ) -> Response:
        """Commit the edits of an outcome with the response to it, and return the response.

        The response is made before the commit, so that what cannot be answered is not written. It
        is kept even without edits: a repetition changes nothing, even if it had an effect by then.

        Raises RequestIdReused, OverlayErased, OverlayFull, HistoryFull, and RevisionMoved (for a
        second lost race, or where `expected_revision` does not match).
        """
        async with self._turns.turn(user):
            for last_try in (False, True):
                if kept and (record := await self._store.response(user, kept.key.request_id)):
                    return kept.response(record)
                snapshot = await self._store.snapshot(user)
                if expected_revision is not None and expected_revision != snapshot.revision:
                    raise RevisionMoved(expected_revision, snapshot.revision)
                outcome = await propose(snapshot)
                response = response_to(outcome)
                try:
                    await self._commit(
                        user, snapshot, outcome.edits, kept.record(response) if kept else None
                    )
                except RevisionMoved:
                    if last_try or expected_revision is not None:
                        raise
                    call_watch.get().retried("write")
                    continue
                return response
        raise AssertionError("the second try returns or raises")

    async def _commit(
        self,
        user: str,
        snapshot: Snapshot,
        edits: tuple[Edit, ...],
        record: RequestRecord | None,
    ) -> None:
        if edits and self._room is not None:
            await self._room.require(user, snapshot, edits)
        if edits or record:
            await uncut(self._store.commit(user, snapshot, edits, record))
