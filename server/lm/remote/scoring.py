"""Asks a server for the log-probabilities of continuations, in as few requests as it allows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.lm.remote.connection import Body, Connection
from server.lm.remote.dialect import Asked, Part, Speaker
from server.lm.remote.gate import Gate
from server.lm.remote.replies import Choice, Completion, read_reply
from server.tuning.ports import Asked as Watched
from server.tuning.ticket import Ticket
from server.tuning.watching import question

PATH = "/completions"
_REQUEST_PROMPTS, _REQUEST_TOKENS = 256, 1 << 14
"""What one request asks at most: replies with each token's log-probability are large."""


@dataclass(frozen=True, slots=True)
class Found:
    """The log-probability of each text's continuation, and what finding them cost."""

    totals: list[float]
    requests: int
    tokens_read: int


@dataclass(frozen=True, slots=True)
class _Request:
    """A request's body, its prompts, and the tokens that it has the server read."""

    body: Body
    texts: int
    tokens: int


class Scorer:
    """Scores texts through one connection."""

    def __init__(self, connection: Connection, gate: Gate, speaker: Speaker) -> None:
        self._connection = connection
        self._gate = gate
        self._speaker = speaker

    async def score(self, asked: Sequence[Asked], ticket: Ticket) -> Found:
        """ln P(continuation | prompt) of each of `asked`; what is asked twice is asked once.

        Raises UnusableReply and what Connection raises.
        """
        distinct = list(dict.fromkeys(asked))
        by_echo = self._speaker.dialect.way == "echo"
        found = await (self._echo(distinct, ticket) if by_echo else self._bias(distinct, ticket))
        of = dict(zip(distinct, found.totals, strict=True))
        return Found([of[one] for one in asked], found.requests, found.tokens_read)

    async def _echo(self, asked: Sequence[Asked], ticket: Ticket) -> Found:
        speaker = self._speaker
        most = _REQUEST_PROMPTS if speaker.dialect.takes_many else 1
        batches = list(_batches(asked, most))
        requests = [_Request(speaker.echo(each), len(each), _tokens(each)) for each in batches]
        replies = await self._all(requests, ticket)
        totals = []
        for batch, reply in zip(batches, replies, strict=True):
            pairs = zip(reply.in_order(len(batch)), batch, strict=True)
            totals += [speaker.echoed(choice, one) for choice, one in pairs]
        return Found(totals, len(batches), _tokens(asked))

    async def _bias(self, asked: Sequence[Asked], ticket: Ticket) -> Found:
        speaker = self._speaker
        parts = [part for one in asked for part in speaker.parts(one)]
        keyed = {_key(part): part for part in parts}  # equal beginnings are asked once
        requests = [_Request(speaker.bias(part), 1, part.stop) for part in keyed.values()]
        replies = await self._all(requests, ticket)
        of = {
            key: speaker.biased(_only(reply), part)
            for (key, part), reply in zip(keyed.items(), replies, strict=True)
        }
        totals = dict.fromkeys(asked, 0.0)
        for part in parts:
            totals[part.asked] += of[_key(part)]
        read = sum(request.tokens for request in requests)
        return Found(list(totals.values()), len(keyed), read)

    async def _all(self, requests: Sequence[_Request], ticket: Ticket) -> list[Completion]:
        """The replies to all requests. The first that fails ends the others."""
        with question("score") as watched:
            tasks = [asyncio.create_task(self._one(each, ticket, watched)) for each in requests]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

    async def _one(self, request: _Request, ticket: Ticket, watched: Watched) -> Completion:
        async with self._gate.turn(ticket):
            away = watched.sent(request.texts, request.tokens)
            return read_reply(Completion, await self._connection.post(PATH, request.body, away))


def _tokens(asked: Sequence[Asked]) -> int:
    return sum(len(one.sequence.tokens) for one in asked)


def _batches(asked: Sequence[Asked], most: int) -> Iterator[list[Asked]]:
    """`asked` in lists for one request each."""
    batch: list[Asked] = []
    tokens = 0
    for one in asked:
        size = len(one.sequence.tokens)
        if batch and (len(batch) == most or tokens + size > _REQUEST_TOKENS):
            yield batch
            batch, tokens = [], 0
        batch.append(one)
        tokens += size
    if batch:
        yield batch


def _key(part: Part) -> tuple[tuple[int, ...], int]:
    """What a part's log-probability depends on: the tokens up to its end, and where it starts."""
    return part.asked.sequence.tokens[: part.stop], part.start


def _only(reply: Completion) -> Choice:
    [choice] = reply.in_order(1)
    return choice
