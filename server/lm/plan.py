"""Who reads how much in one forward pass: the generations that write, then the oldest prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from server.tuning.ticket import Ticket


class Work(Protocol):
    """What the schedule knows about a request's work: how much it would read, and whether it may.

    `stream` is the number under which the model keeps what the work has read; None if each pass is
    independent of the others. `ready` is false while the texts are still being tokenized.
    `deadline` counts until the first pass, in seconds of the monotonic clock. `ticket` is that of
    the call. `is_writing` is true once a generation's prompt is read, and each pass gives text.
    """

    @property
    def stream(self) -> int | None: ...

    @property
    def deadline(self) -> float | None: ...

    @property
    def ticket(self) -> Ticket: ...

    @property
    def ready(self) -> bool: ...

    @property
    def is_cancelled(self) -> bool: ...

    @property
    def is_writing(self) -> bool: ...

    @property
    def tokens_left(self) -> int:
        """How many tokens it still has to read, as far as that is known; 0 when it has ended."""
        ...

    def tokens_wanted(self, room: int) -> int:
        """How many tokens it would read in a pass with `room` tokens left.

        What cannot be cut to `room` wants more than that.
        """
        ...


Item = TypeVar("Item", bound=Work)


@dataclass(frozen=True, slots=True)
class Turn(Generic[Item]):
    """A place in a pass: the work, and how many tokens it may read."""

    work: Item
    tokens: int


@dataclass(frozen=True, slots=True)
class Plan(Generic[Item]):
    """The turns of a pass: of the generations that write, and of those that read prompts."""

    writers: tuple[Turn[Item], ...]
    readers: tuple[Turn[Item], ...]

    @property
    def prompt_tokens(self) -> int:
        return sum(turn.tokens for turn in self.readers)


@dataclass(frozen=True, slots=True)
class Rooms:
    """How many tokens a pass may read.

    `budget` is the bound on all of them, `prompts` the one on prompts while any generation writes.
    """

    budget: int
    prompts: int


def planned(
    writing: Sequence[Item], prompts: Sequence[Item], rooms: Rooms, *, writers_may_wait: bool
) -> Plan[Item]:
    """Plan a pass for the generations `writing`, and for `prompts`, the oldest first.

    The oldest prompt always gets a turn. Where it is longer than what the writers leave and cannot
    be cut, it gets a pass of its own, if `writers_may_wait`. It is the only one that may go over
    the bound on prompts, or over the budget if it is alone.
    """
    writers = _writers(writing, rooms.budget)
    room = rooms.budget - sum(turn.tokens for turn in writers)
    bound = min(room, rooms.prompts) if writers else room
    readers: list[Turn[Item]] = []
    left = bound
    behind = sum(work.tokens_left for work in prompts)
    for place, work in enumerate(prompts):
        if left <= 0:
            break
        behind -= work.tokens_left
        is_oldest = place == 0
        tokens = _part(work, left, behind if work.tokens_left > bound else 0)
        if is_oldest and tokens > room and writers:
            if writers_may_wait:
                return Plan((), (Turn(work, tokens),))
        elif is_oldest or tokens <= left:
            readers.append(Turn(work, tokens))
            left -= tokens
    return Plan(tuple(writers), tuple(readers))


def _writers(writing: Sequence[Item], budget: int) -> list[Turn[Item]]:
    """The turns of generations. They leave half of the budget to others."""
    turns: list[Turn[Item]] = []
    room = budget - budget // 2
    for work in writing:
        tokens = work.tokens_wanted(room)
        if room <= 0 or (turns and tokens > room):
            break
        turns.append(Turn(work, tokens))
        room -= tokens
    return turns


def _part(work: Item, left: int, others: int) -> int:
    """How many of the `left` tokens `work` reads.

    It leaves half of them to the others behind it, which want `others` tokens.
    """
    tokens = work.tokens_wanted(max(1, left // 2, left - others))
    return tokens if tokens <= left else work.tokens_wanted(left)
