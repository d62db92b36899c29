"""The LanguageModel on another server. Keys are read by a small model on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NoReturn, TypeVar

from server.errors import Internal, ModelUnreachable, RequestTooLarge, ShuttingDown
from server.lm import defaults
from server.lm.remote.connection import Connection
from server.lm.remote.dialect import Asked, Dialect, Speaker
from server.lm.remote.gate import Gate
from server.lm.remote.replies import Completion, RequestRefused, UnusableReply, read_reply
from server.lm.remote.scoring import PATH, Found, Scorer
from server.lm.remote.token_threads import TokenThreads
from server.lm.schedule import STOPPING
from server.lm.stopping import StoppedText
from server.lm.tokens import Tokenizer
from server.tuning.ports import (
    Branch,
    ContinuationLogprob,
    GenerateRequest,
    LanguageModel,
    ModelCost,
    Piece,
    Scores,
    Sight,
)
from server.tuning.ticket import Ticket
from server.tuning.together import together
from server.tuning.watching import UNSEEN, question

IN_FLIGHT = 64
"""Requests that the server works on at a time. It has a queue of its own, in which no call is
older than another."""
_REQUEST_TOKENS = 1 << 20
"""What one call may have the server read. Common beginnings count each time: many servers read
them again where they say each token's log-probability."""
_NO_MORE = {401, 403, 404}
"""Refusals that say nothing about a request: the key or the model is not there any more."""

Result = TypeVar("Result")

_log = logging.getLogger("kgt")


class _Session:
    """What belongs to one event loop: the connection, and who may use it when."""

    def __init__(self, connection: Connection, capacity: int, speaker: Speaker) -> None:
        self.loop = asyncio.get_running_loop()
        self.connection = connection
        self.gate = Gate(IN_FLIGHT, capacity)
        self.scorer = Scorer(connection, self.gate, speaker)
        self._closing: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Close the connection, from any thread."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self.loop:
            self._closing = self.loop.create_task(self.connection.close())
        elif self.loop.is_running():
            asyncio.run_coroutine_threadsafe(self.connection.close(), self.loop).result()


class RemoteModel:
    """Scores continuations and generates text on a server, and reads keys with `keys`.

    `connect` makes a connection for the running event loop. At most `queue_capacity` calls wait.
    The cost's forward passes are requests; a key that is read meanwhile counts nothing more.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        speaker: Speaker,
        tokenizer: Tokenizer,
        keys: LanguageModel,
        fingerprint: str,
        queue_capacity: int = defaults.QUEUE,
        *,
        sight: Sight = UNSEEN,
    ) -> None:
        self._connect = connect
        self._speaker = speaker
        self._tokenizer = tokenizer
        self._keys = keys
        self._fingerprint = fingerprint
        self._capacity = queue_capacity
        self._session: _Session | None = None
        self._closed = False
        self._threads = TokenThreads()
        sight.gauge(
            "kgt.model.requests.waiting", lambda: self._session.gate.waiting if self._session else 0
        )

    @property
    def dialect(self) -> Dialect:
        """How the server is asked."""
        return self._speaker.dialect

    @property
    def fingerprint(self) -> str:
        """A hash of the address, the model's name and the tokenizer: weights cannot be seen."""
        return self._fingerprint

    @property
    def adapter_fingerprint(self) -> str:
        return ""

    @property
    def key_fingerprint(self) -> str:
        return self._keys.key_fingerprint

    def key_prompt(self, query: str) -> str:
        return self._keys.key_prompt(query)

    @property
    def floor(self) -> float:
        return self._keys.floor

    @property
    def sure(self) -> float:
        return self._keys.sure

    @property
    def max_scored_triples(self) -> int:
        if self.dialect.takes_many:
            return defaults.GPU_SCORED_TRIPLES
        return defaults.PROCESSOR_SCORED_TRIPLES

    async def score(self, branches: Sequence[Branch]) -> Scores:
        """The log-probabilities of all continuations, and the keys asked for.

        Raises TextTooLong, RequestTooLarge, ModelBusy, Overloaded, DeadlinePassed and
        ModelUnreachable.
        """
        for branch in branches:
            self._tokenizer.require_bounded(branch.prompt, branch.field)
            for number, continuation in enumerate(branch.continuations):
                self._tokenizer.require_bounded(continuation, branch.field_to_shorten(number))
        (logprobs, cost), keys = await together(self._logprobs(branches), self._read_keys(branches))
        read = iter(keys.keys)
        return Scores(
            logprobs,
            ModelCost(
                max(cost.forward_passes, keys.cost.forward_passes),
                cost.tokens_read + keys.cost.tokens_read,
            ),
            tuple(next(read) if branch.keyed else None for branch in branches),
        )

    async def _read_keys(self, branches: Sequence[Branch]) -> Scores:
        keyed = [replace(b, continuations=(), fields=()) for b in branches if b.keyed]
        return await self._keys.score(keyed) if keyed else Scores((), ModelCost())

    async def _logprobs(
        self, branches: Sequence[Branch]
    ) -> tuple[tuple[tuple[ContinuationLogprob, ...], ...], ModelCost]:
        session = self._open()
        with session.gate.place() as ticket:
            asked, found = await self._twice(lambda: self._found(branches, session, ticket))
        ticket.tokens_read += found.tokens_read
        rows = iter(
            ContinuationLogprob(total, len(one.sequence.tokens) - one.sequence.scored_from)
            for total, one in zip(found.totals, asked, strict=True)
        )
        logprobs = tuple(tuple(islice(rows, len(branch.continuations))) for branch in branches)
        return logprobs, ModelCost(found.requests, found.tokens_read)

    async def _found(
        self, branches: Sequence[Branch], session: _Session, ticket: Ticket
    ) -> tuple[list[Asked], Found]:
        """What is asked for `branches`, and what the server says."""
        sequences = await self._threads.finish(self._tokenizer.sequences_in_steps(branches))
        texts = [branch.prompt + c for branch in branches for c in branch.continuations]
        # The sequences of keyed prompts come last. They were made to see whether they fit
        asked = [Asked(text, s) for text, s in zip(texts, sequences, strict=False)]
        tokens = sum(len(one.sequence.tokens) for one in asked)
        if tokens > _REQUEST_TOKENS:
            longest = max(branches, key=lambda branch: len(branch.prompt))
            raise RequestTooLarge(longest.field, tokens, _REQUEST_TOKENS)
        if not asked:
            return [], Found([], 0, 0)
        return asked, await session.scorer.score(asked, ticket)

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        """The continuation of a prompt. Drafts are not sent: no such interface takes them.

        Raises TextTooLong, ModelBusy, Overloaded, DeadlinePassed and ModelUnreachable.
        """
        self._tokenizer.require_bounded(request.prompt, request.field)
        session = self._open()
        async with contextlib.AsyncExitStack() as open_until_read:
            ticket = open_until_read.enter_context(session.gate.place())
            watched = open_until_read.enter_context(question("generate"))

            async def begin() -> tuple[AsyncIterator[str], int]:
                tokens = await self._threads.finish(self._tokenizer.prompt_in_steps(request))
                body = self._speaker.continuation(request, tokens, self._tokenizer.context_tokens)
                events = await open_until_read.enter_async_context(
                    session.connection.stream(PATH, body, watched.sent(1, len(tokens)))
                )
                return events, len(tokens)

            await open_until_read.enter_async_context(session.gate.turn(ticket))
            events, read = await self._twice(begin)
            ticket.tokens_read += read
            pieces = _pieces(events, StoppedText(request.stop), ModelCost(1, read))
            await open_until_read.enter_async_context(contextlib.aclosing(pieces))
            async for piece in pieces:
                yield piece

    async def _twice(self, ask: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """What `ask` returns. It is asked again once the server has said how much it can read."""
        try:
            return await ask()
        except RequestRefused as refused:
            if not self._learns_context(refused):
                self._give_up(refused)
        except UnusableReply as unusable:
            self._give_up(unusable)
        try:
            return await ask()
        except (RequestRefused, UnusableReply) as error:
            self._give_up(error)

    def _learns_context(self, refused: RequestRefused) -> bool:
        """Whether the server said how much it can read. One token of it is generated."""
        told = refused.context_tokens
        if told is None:
            return False
        if told - 1 < self._tokenizer.context_tokens:  # else another call was faster
            self._tokenizer.context_tokens = max(1, told - 1)
            _log.info("the model's server reads %d tokens at a time", told)
        return True

    def _give_up(self, error: RequestRefused | UnusableReply) -> NoReturn:
        _log.error("the model's server cannot be used as it was at the start: %s", error)
        if isinstance(error, RequestRefused) and error.status in _NO_MORE:
            raise ModelUnreachable(str(error)) from None
        raise Internal(
            "the model's server answered otherwise than at the start; the server's log says more"
        ) from None

    def _open(self) -> _Session:
        """The session of the running event loop. Raises ShuttingDown."""
        if self._closed:
            raise ShuttingDown(STOPPING)
        if self._session is None or self._session.loop is not asyncio.get_running_loop():
            self._session = _Session(self._connect(), self._capacity, self._speaker)
        return self._session

    def close(self) -> None:
        """Refuse any other work, and end what is under way with its connections.

        On the event loop's own thread it does not wait for that.
        """
        self._closed = True
        if self._session is not None:
            self._session.close()
        self._threads.close()
        self._keys.close()


async def _pieces(
    events: AsyncIterator[str], text: StoppedText, cost: ModelCost
) -> AsyncGenerator[Piece, None]:
    """The pieces of a generation. The first has `cost`, each the tokens that it brought.

    Servers send a token in each event, or say at the end how many there were.
    """
    written, counted, told = "", 0, 0
    async for data in events:
        if data == "[DONE]":
            break
        reply = _event(data)
        told = max(told, reply.usage.completion_tokens) if reply.usage is not None else told
        new = "".join(choice.text for choice in reply.choices)
        if not new:
            continue
        written += new
        counted += 1
        yield Piece(text.grow(written), replace(cost, tokens_generated=1))
        cost = ModelCost()
        if text.stopped:
            return
    yield Piece(text.rest(), replace(cost, tokens_generated=max(0, told - counted)))


def _event(data: str) -> Completion:
    """What an event says. Raises ModelUnreachable: once text was given out, it is too late to
    ask again."""
    try:
        reply = read_reply(Completion, data)
    except UnusableReply as unusable:
        raise ModelUnreachable(str(unusable)) from None
    if reply.error is not None:
        raise ModelUnreachable("the text breaks off")
    return reply
