"""Makes the calls of a measurement, and records what each one cost or why it was refused."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from evaluation.corrections.cases import Correction
from evaluation.corrections.expectations import Reply
from kgt.client import AsyncClient
from kgt.errors import CallError, Unavailable
from kgt.v1 import personalization_pb2 as pb
from server.errors import StartupError
from server.graph.concept import concept_key

ANSWER_TOKENS = 64
"""The longest answer, whatever the server's own setting is."""
_PAGE = 500

Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its method, what was asked, and what it cost. `refused` is the reason, if any."""

    method: str
    asked: str
    took_ms: float
    refused: str = ""
    cost: pb.Cost | None = None


@dataclass(frozen=True, slots=True)
class Personalized:
    """What came of a correction, or of a sentence. `edit_id` is empty if nothing was changed."""

    correction: Correction
    refused: str = ""
    edit_id: str = ""
    converged: bool = False
    stop_reason: str = ""
    added: int = 0
    removed: int = 0


class Caller:
    """Calls the service, one call at a time. A refused call is recorded and is no exception.

    Raises StartupError where the server cannot be reached.
    """

    def __init__(self, client: AsyncClient, on_call: Callable[[], None] = lambda: None) -> None:
        self.calls: list[Call] = []
        self.fingerprints = pb.Fingerprints()
        """Those of the last answer."""
        self._client = client
        self._on_call = on_call

    async def answer(self, user: str, query: str, candidates: Sequence[str]) -> Reply:
        """Ask for the answer, and for the probabilities of the candidates."""
        response, refused = await self._made(
            "answer",
            query,
            self._client.answer(
                user=user, query=query, candidates=candidates, max_tokens=ANSWER_TOKENS
            ),
        )
        if response is None:
            return Reply(refused=refused)
        self.fingerprints = response.fingerprints
        logprobs = (candidate.logprob for candidate in response.candidates)
        return Reply(response.text, dict(zip(candidates, logprobs, strict=True)))

    async def view(self, user: str, concept: str) -> Reply:
        """Look at all tails of a concept's triples in the user's view."""
        tails: set[str] = set()
        token = ""
        while True:
            response, refused = await self._made(
                "get_neighborhood",
                concept,
                self._client.get_neighborhood(
                    user=user, concept=concept, page_size=_PAGE, page_token=token
                ),
            )
            if response is None:
                return Reply(refused=refused)
            seen = (one for one in response.triples if one.origin != pb.ORIGIN_REMOVED)
            tails.update(concept_key(one.triple.tail) for one in seen)
            token = response.next_page_token
            if not token:
                return Reply(tails=frozenset(tails))

    async def personalize(self, user: str, correction: Correction) -> Personalized:
        """Correct an answer."""
        response, refused = await self._made(
            "personalize",
            correction.query,
            self._client.personalize(
                user=user,
                query=correction.query,
                answer=correction.answer,
                answer_before=correction.answer_before,
            ),
        )
        if response is None:
            return Personalized(correction, refused)
        return Personalized(
            correction,
            edit_id=response.edit.id,
            converged=response.converged,
            stop_reason=pb.StopReason.Name(response.stop_reason),
            added=len(response.edit.added),
            removed=len(response.edit.removed),
        )

    async def learn(self, user: str, text: str) -> Personalized:
        """Say something. It has converged if something was learned, and all that was understood."""
        response, refused = await self._made(
            "learn", text, self._client.learn(user=user, text=text)
        )
        said = Correction(text, "")
        if response is None:
            return Personalized(said, refused)
        fates = [fact.fate for fact in response.facts]
        return Personalized(
            said,
            edit_id=response.edit.id,
            converged=bool(fates) and pb.FATE_NOT_GIVEN_BACK not in fates,
            stop_reason=", ".join(pb.Fate.Name(fate) for fate in fates),
            added=len(response.edit.added),
            removed=len(response.edit.removed),
        )

    async def add(self, user: str, triples: Sequence[tuple[str, str, str]]) -> None:
        """Add triples to the user's view."""
        asked = "; ".join(map(" ".join, triples))
        await self._made("edit_facts", asked, self._client.edit_facts(user=user, add=triples))

    async def revert(self, user: str, edit: Personalized) -> None:
        """Undo a correction."""
        call = self._client.revert_edit(user=user, edit_id=edit.edit_id)
        await self._made("revert_edit", edit.correction.query, call)

    async def erase(self, user: str) -> None:
        """Leave nothing of a user."""
        await self._made("erase_user", "", self._client.erase_user(user=user))

    async def _made(
        self, method: str, asked: str, call: Awaitable[Response]
    ) -> tuple[Response | None, str]:
        """(The response, or None; why it was refused)."""
        started = time.perf_counter()
        response, refused = None, ""
        try:
            response = await call
        except Unavailable as error:
            raise StartupError(f"the server cannot be asked: {error}") from error
        except CallError as error:
            refused = error.reason or type(error).__name__
        took_ms = (time.perf_counter() - started) * 1000
        cost: pb.Cost | None = getattr(response, "cost", None)
        self.calls.append(Call(method, asked, took_ms, refused, cost))
        self._on_call()
        return response, refused
