"""The LanguageModel whose replicas run on Ray Serve (KGT_MODEL=ray://...).

Ray Serve sends each question to the replica with fewer of them. A replica keeps nothing between
questions, so none is better than another for a user, and nothing that names a user is sent
(docs/decisions/0034-scaling-out.md). If a replica is lost, its questions go to another one, as long
as their calls have time left.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import ray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from server.errors import DeadlinePassed, Internal, ModelBusy, ModelUnusable
from server.lm.replicas.address import ReplicasAddress
from server.lm.replicas.wire import About, Answered, Asked, Failure, SentTicket
from server.tuning.deadline import call_deadline
from server.tuning.ports import Branch, GenerateRequest, Piece, Scores, Sent
from server.tuning.ticket import Ticket, call_ticket
from server.tuning.watching import question

_START_S = 600.0
"""How long a server waits at its start for a first replica, which may have to load its model."""
_PATIENCE_S = 300.0
"""How long a call without a deadline waits for the next that a replica says."""
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.05, 1.0

R = TypeVar("R")
_log = logging.getLogger("kgt")


class ReplicatedModel:
    """A LanguageModel in other processes. Make one with `connect`."""

    def __init__(self, handle: DeploymentHandle, about: About, *, joined: bool = False) -> None:
        """`joined`: this made the process join the cluster, and `close` makes it leave."""
        self._handle = handle
        self._about = about
        self._joined = joined

    @classmethod
    def connect(cls, address: ReplicasAddress) -> ReplicatedModel:
        """Join the cluster and wait for a first replica. Raises ModelUnusable."""
        joined = not ray.is_initialized()
        try:
            if joined:
                ray.init(address.cluster, log_to_driver=False, configure_logging=False)
            handle = serve.get_app_handle(address.name)
            about: About = handle.about.remote().result(timeout_s=_START_S)
        except (ConnectionError, RuntimeError, TimeoutError, RayError, RayServeException) as error:
            if joined:
                ray.shutdown()
            raise ModelUnusable(
                f"no model replica answers as {address.name!r} in the Ray cluster at"
                f" {address.cluster} ({type(error).__name__}); run `python -m server.replicas"
                f" {address.cluster}`, and a Ray node on this machine (docs/scale.md)"
            ) from error
        return cls(handle, about, joined=joined)

    @property
    def fingerprint(self) -> str:
        return self._about.fingerprint

    @property
    def adapter_fingerprint(self) -> str:
        return self._about.adapter_fingerprint

    @property
    def key_fingerprint(self) -> str:
        return self._about.key_fingerprint

    def key_prompt(self, query: str) -> str:
        before, after = self._about.key_prompt
        return f"{before}{query}{after}"

    @property
    def floor(self) -> float:
        return self._about.floor

    @property
    def sure(self) -> float:
        return self._about.sure

    @property
    def max_scored_triples(self) -> int:
        return self._about.max_scored_triples

    async def score(self, branches: Sequence[Branch]) -> Scores:
        """The log-probabilities of all continuations, and the keys asked for.

        Raises what the replica raises, and ModelBusy if none answers.
        """
        texts = sum(len(branch.continuations) + branch.keyed for branch in branches)
        with question("score") as watched, watched.sent(texts) as sent:
            call = _Call(sent)

            async def once() -> Scores:
                asked = call.asked(tuple(branches))
                response = self._handle.score.remote(asked)
                with _cancelled_with_its_caller(response):
                    scores = call.noted(await response, asked.ticket)
                assert isinstance(scores, Scores)
                return scores

            scores = await self._until_answered(once, call)
            sent.read(scores.cost.tokens_read)
            return scores

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        """The continuation of a prompt. Raises what the replica raises, and ModelBusy.

        If its replica is lost, another one goes on after the text that was given so far. What is
        drawn with a seed is then another text than without the loss.
        """
        with question("generate") as watched, watched.sent(1) as sent:
            async with contextlib.aclosing(self._continued(request, _Call(sent))) as pieces:
                async for piece in pieces:
                    sent.read(piece.cost.tokens_read)
                    yield piece

    async def _continued(
        self, request: GenerateRequest, call: _Call
    ) -> AsyncGenerator[Piece, None]:
        """The pieces of a generation, which goes on at another replica if one is lost."""
        left = request
        stream = self._stream(left, call)
        while True:
            try:
                async with contextlib.aclosing(stream):
                    while (piece := await call.limited(anext(stream, None))) is not None:
                        left = _after(left, piece)
                        yield piece
                return
            except (RayError, RayServeException) as error:
                await call.lost(error)
            if left.max_tokens < 1:
                return
            stream = self._stream(left, call)

    async def _stream(self, request: GenerateRequest, call: _Call) -> AsyncGenerator[Piece, None]:
        asked = call.asked(request)
        response = self._handle.options(stream=True).generate.remote(asked)
        last = asked.ticket
        with _cancelled_with_its_caller(response):
            async for answered in response:
                piece = call.noted(answered, last)
                last = answered.ticket
                if piece is None:
                    return
                assert isinstance(piece, Piece)
                yield piece

    async def _until_answered(self, once: Callable[[], Awaitable[R]], call: _Call) -> R:
        """The result of `once`, which is asked again as long as replicas are lost."""
        while True:
            try:
                return await call.limited(once())
            except (RayError, RayServeException) as error:
                await call.lost(error)

    def close(self) -> None:
        """Leave the cluster. The replicas go on: other servers may ask them."""
        self._handle.shutdown()
        if self._joined:
            ray.shutdown()


class _Call:
    """One question's ticket, its deadline, and how often a replica was lost under it."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self._ticket = call_ticket.get() or Ticket()
        if self._ticket.number is None:
            # Replicas compare the numbers of calls of all servers: the earlier one goes first.
            self._ticket.number = time.time_ns()
        self._deadline = call_deadline.get()
        self._end = time.monotonic() + _PATIENCE_S if self._deadline is None else self._deadline
        self._delay_s = _FIRST_DELAY_S

    def asked(self, about: Sequence[Branch] | GenerateRequest) -> Asked:
        now = time.monotonic()
        left_s = None if self._deadline is None else self._deadline - now
        return Asked(about, SentTicket.of(self._ticket, now), left_s, self._sent.headers)

    def noted(self, answered: Answered, last: SentTicket) -> Scores | Piece | None:
        """The answer, with the ticket brought up to date. Raises what the replica raised.

        `last` is the ticket as it was sent, or as it came with the answer before.
        """
        now = time.monotonic()
        answered.ticket.note(self._ticket, last, now)
        if self._deadline is None:
            self._end = now + _PATIENCE_S
        if isinstance(answered.answer, Failure):
            raise answered.answer.error()
        return answered.answer

    async def limited(self, work: Awaitable[R]) -> R:
        """The result of `work`. Raises DeadlinePassed, or ModelBusy without a deadline."""
        try:
            async with asyncio.timeout(self._end - time.monotonic()):
                return await work
        except TimeoutError as error:
            raise self._too_late() from error

    async def lost(self, error: RayError | RayServeException) -> None:
        """Wait before another try. Raises what the caller is told if there is none."""
        if isinstance(error, BackPressureError):
            raise ModelBusy("all model replicas are busy; try again") from error
        if isinstance(error, RayTaskError):
            # Its message has the replica's traceback, and so perhaps what a user wrote
            raise Internal(f"a model replica failed ({type(error.cause).__name__})") from None
        _log.warning("a model replica was lost (%s); asking another one", type(error).__name__)
        if time.monotonic() + self._delay_s >= self._end:
            raise self._too_late() from error
        self._sent.retried("replica")
        await asyncio.sleep(self._delay_s)
        self._delay_s = min(2 * self._delay_s, _LONGEST_DELAY_S)

    def _too_late(self) -> DeadlinePassed | ModelBusy:
        if self._deadline is None:
            return ModelBusy("no model replica answers now; try again")
        return DeadlinePassed(
            "the deadline passed before a model replica answered", retry_after_s=None
        )


def _after(request: GenerateRequest, piece: Piece) -> GenerateRequest:
    """What is left of `request` after `piece`."""
    text = piece.text
    drafts = tuple(d.removeprefix(text) for d in request.drafts if d.startswith(text))
    return replace(
        request,
        prompt=request.prompt + text,
        max_tokens=request.max_tokens - piece.cost.tokens_generated,
        drafts=drafts,
    )


@contextlib.contextmanager
def _cancelled_with_its_caller(response: Any) -> Iterator[None]:
    """Tell the replica if nobody waits any more."""
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        response.cancel()
        raise
