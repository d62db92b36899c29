"""What crosses from a server to a replica of the model and back: values only, and no user's name.

Clocks of two machines differ, so times are sent as how long ago they were or how much is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from server.errors import Internal, KgtError
from server.lm.pace import Overloaded as Overloaded  # one of the errors that cross
from server.tuning.ports import Branch, GenerateRequest, ModelCost, Piece, Scores
from server.tuning.ticket import Need, Ticket


@dataclass(frozen=True, slots=True)
class About:
    """What a server has to know of the model. `key_prompt` goes before and after a query."""

    fingerprint: str
    adapter_fingerprint: str
    key_fingerprint: str
    key_prompt: tuple[str, str]
    floor: float
    sure: float
    max_scored_triples: int


@dataclass(frozen=True, slots=True)
class SentTicket:
    """A ticket as it was when it was sent. Times are seconds before that moment."""

    expected: Need
    number: int | None
    began_ago: float | None
    ended_ago: float | None
    tokens_read: int

    @classmethod
    def of(cls, ticket: Ticket, now: float) -> SentTicket:
        return cls(
            ticket.expected,
            ticket.number,
            None if ticket.began is None else now - ticket.began,
            None if ticket.ended is None else now - ticket.ended,
            ticket.tokens_read,
        )

    def received(self, now: float) -> Ticket:
        """The ticket, in this machine's time."""
        return Ticket(
            self.expected,
            self.number,
            None if self.began_ago is None else now - self.began_ago,
            None if self.ended_ago is None else now - self.ended_ago,
            self.tokens_read,
        )

    def note(self, ticket: Ticket, sent: SentTicket, now: float) -> None:
        """Add to `ticket`, which was sent as `sent`, what came back. Other work has added too."""
        back = self.received(now)
        if back.began is not None:
            ticket.began = back.began if ticket.began is None else min(ticket.began, back.began)
        if back.ended is not None:
            ticket.ended = back.ended if ticket.ended is None else max(ticket.ended, back.ended)
        ticket.tokens_read += back.tokens_read - sent.tokens_read


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to the model, the call's ticket, and how long the caller waits.

    None: there is no limit. `trace` names the span that the replica's are to be in.
    """

    question: Sequence[Branch] | GenerateRequest
    ticket: SentTicket
    left_s: float | None
    trace: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """One of this service's errors: its class by name, its message, and what else it holds."""

    kind: str
    message: str
    content: dict[str, Any]

    @classmethod
    def of(cls, error: KgtError) -> Failure:
        return cls(type(error).__name__, str(error), dict(vars(error)))

    def error(self) -> KgtError:
        """The error again. One that this server does not know is Internal."""
        found = _named(KgtError, self.kind)
        if found is None:
            return Internal(f"a model replica failed with {self.kind}")
        error = found.__new__(found)
        Exception.__init__(error, self.message)
        vars(error).update(self.content)
        return error


@dataclass(frozen=True, slots=True)
class Answered:
    """What a replica says, and the ticket as it is there then."""

    answer: Scores | Piece | Failure | None
    ticket: SentTicket


def of_replica(cost: ModelCost, replica: int) -> ModelCost:
    """`cost` with passes that differ from those of other replicas."""
    return replace(cost, passes=frozenset((replica << 64) + number for number in cost.passes))


def _named(kind: type[KgtError], name: str) -> type[KgtError] | None:
    if kind.__name__ == name:
        return kind
    found = (_named(each, name) for each in kind.__subclasses__())
    return next((each for each in found if each is not None), None)
