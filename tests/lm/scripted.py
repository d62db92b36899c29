"""Work that is nothing but numbers, and a clock that moves by what a pass reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.lm.schedule import Budget, Ending, Pass, Schedule
from server.tuning.ticket import Need, Ticket


@dataclass(eq=False)
class Scripted:
    """Work with `tokens` to read.

    A stream reads as much of them as fits, then writes `text` tokens, one in each pass. Scoring
    reads pieces of `piece` tokens, or whatever fits if it `cuts`.
    """

    name: str
    tokens: int
    stream: int | None = None
    piece: int = 0
    cuts: bool = False
    text: int = 1_000_000
    deadline: float | None = None
    ticket: Ticket = field(default_factory=Ticket)
    ready: bool = True
    is_cancelled: bool = False
    passes: list[int] = field(default_factory=list)

    @property
    def tokens_left(self) -> int:
        return self.tokens if self.ready else 0

    @property
    def is_writing(self) -> bool:
        return self.stream is not None and bool(self.passes) and self.tokens == 1

    def tokens_wanted(self, room: int) -> int:
        if self.cuts or self.stream is not None:
            return min(room, self.tokens)
        return min(self.tokens, self.piece or self.tokens)

    def read(self, tokens: int) -> None:
        """Read `tokens` tokens in a pass; a stream then has its next token to read."""
        self.passes.append(tokens)
        if self.is_writing:
            self.text -= 1
        else:
            self.tokens -= tokens
            if self.stream is not None and not self.tokens:
                self.tokens, self.text = 1, self.text - 1

    @property
    def has_ended(self) -> bool:
        return not self.tokens or not self.text


def scoring(
    name: str, tokens: int, piece: int = 0, *, cuts: bool = False, ticket: Ticket | None = None
) -> Scripted:
    return Scripted(name, tokens, piece=piece, cuts=cuts, ticket=ticket or Ticket())


def generation(
    name: str, tokens: int = 1, text: int = 1_000_000, *, ticket: Ticket | None = None
) -> Scripted:
    stream = sum(map(ord, name))
    return Scripted(name, tokens, stream=stream, text=text, ticket=ticket or Ticket())


def expecting(tokens: int, seconds: float) -> Ticket:
    """The ticket of a call that usually needs so much."""
    return Ticket(Need(tokens, seconds))


class Model:
    """Runs a schedule's passes on a clock of its own: `fixed_s` a pass, and `token_s` a token."""

    def __init__(
        self,
        *works: Scripted,
        budget: int = 100,
        capacity: int = 50,
        streams: int = 8,
        share: float = 1.0,
        fixed_s: float = 0.0,
        token_s: float = 0.01,
    ) -> None:
        self.schedule = Schedule[Scripted](Budget(budget), capacity, streams, share)
        self.now = 0.0
        self.ended: dict[str, Ending] = {}
        """What left without another pass, and why."""
        self.done_at: dict[str, float] = {}
        """When each work had its last pass."""
        self._fixed_s, self._token_s = fixed_s, token_s
        for work in works:
            self.add(work)

    def add(self, work: Scripted) -> None:
        self.schedule.add(work, self.now)

    def run(self) -> dict[str, int]:
        """Run one pass, and tell who read how much. What has ended leaves."""
        planned = self.schedule.next_pass(self.now)
        self.ended |= endings(planned)
        tokens = sum(turn.tokens for turn in planned.turns)
        self.now += self._fixed_s + self._token_s * tokens
        for turn in planned.turns:
            turn.work.read(turn.tokens)
            turn.work.ticket.ended = self.now
            if turn.work.has_ended:
                self.schedule.remove(turn.work)
                self.done_at[turn.work.name] = self.now
        self.schedule.note_end(self.now)
        return read(planned)


def read(planned: Pass[Scripted]) -> dict[str, int]:
    return {turn.work.name: turn.tokens for turn in planned.turns}


def endings(planned: Pass[Scripted]) -> dict[str, Ending]:
    return {work.name: ending for work, ending in planned.ended}
