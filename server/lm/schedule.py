"""What runs in the next forward pass: a plan over token counts, without threads and without torch.

A pass holds, in this order and up to its token budget:

1. the generations under way, each with as many tokens as it wants. They leave half of the budget
   to the others, and those that found no room come first in the next pass;
2. the scoring under way, in the order in which it came;
3. what waits, in the order in which it came. A generation also needs a free stream; while there is
   none, later scoring overtakes it.

So a request that comes alone starts at once, and a long generation delays nobody by more than the
pass that is running.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from server.errors import ModelBusy, ShuttingDown

RECOVERY_PASSES = 256
"""After this many passes that fit, a budget that was halved is doubled. A try that comes too early
costs one failed pass."""

_LEAST_BUDGET = 16

STOPPING = "the server is stopping; try another one, or try again later"


class Work(Protocol):
    """What the schedule knows about a request's work: how much it would read, and whether it may.

    `stream` is the number under which the model keeps what the work has read; None if each pass is
    independent of the others. `ready` is false while the texts are still being tokenized.
    `deadline` counts until the first pass, in seconds of the monotonic clock.
    """

    @property
    def stream(self) -> int | None: ...

    @property
    def deadline(self) -> float | None: ...

    @property
    def ready(self) -> bool: ...

    @property
    def is_cancelled(self) -> bool: ...

    def tokens_wanted(self, room: int) -> int:
        """How many tokens it would read in a pass with `room` tokens left; 0 when it has ended.

        Work that cannot be cut any smaller may want more than `room`. It then waits for a pass of
        its own.
        """
        ...


Item = TypeVar("Item", bound=Work)


class Ending(enum.Enum):
    """Why work leaves the schedule without another pass."""

    EMPTY = "there is nothing to read"
    CANCELLED = "nobody waits for the result any more"
    LATE = "the deadline passed before the first forward pass"
    STOPPING = "the server is stopping"


@dataclass(frozen=True, slots=True)
class Turn(Generic[Item]):
    """A place in a pass: the work, and how many tokens it may read."""

    work: Item
    tokens: int


@dataclass(frozen=True, slots=True)
class Pass(Generic[Item]):
    """One forward pass, and the work that left the schedule while it was planned."""

    turns: tuple[Turn[Item], ...]
    ended: tuple[tuple[Item, Ending], ...]


class Budget:
    """How many tokens one pass may read. It shrinks when memory runs out and grows back later."""

    def __init__(self, tokens: int) -> None:
        self.full = tokens
        self.tokens = tokens
        self._fitted = 0

    def shrink(self, tokens: int) -> bool:
        """A pass with `tokens` tokens did not fit: allow half as many. False if that is no less."""
        smaller = max(_LEAST_BUDGET, min(self.tokens, tokens) // 2)
        if smaller >= self.tokens:
            return False
        self.tokens, self._fitted = smaller, 0
        return True

    def note_fit(self) -> bool:
        """A pass fitted. True if the budget grew, because whatever took the memory may be gone."""
        self._fitted += 1
        if self.tokens >= self.full or self._fitted < RECOVERY_PASSES:
            return False
        self.tokens, self._fitted = min(2 * self.tokens, self.full), 0
        return True


class Schedule(Generic[Item]):
    """The queue and the work under way. Not safe for threads: the caller holds a lock.

    At most `capacity` items wait, and at most `streams` generations are under way.
    """

    def __init__(self, budget: Budget, capacity: int, streams: int) -> None:
        self._budget = budget
        self._capacity = capacity
        self._most_streams = streams
        self._closed = False
        self._waiting: list[Item] = []
        self._scoring: list[Item] = []
        self._streams: list[Item] = []

    @property
    def waiting(self) -> Sequence[Item]:
        """What has not had a pass yet, in the order in which it came."""
        return tuple(self._waiting)

    @property
    def under_way(self) -> Sequence[Item]:
        """What has had a pass, and needs another one."""
        return (*self._scoring, *self._streams)

    def add(self, work: Item) -> None:
        """Put `work` at the end of the queue. Raises ModelBusy and ShuttingDown."""
        if self._closed:
            raise ShuttingDown(STOPPING)
        if len(self._waiting) >= self._capacity:
            self._waiting = [w for w in self._waiting if not w.is_cancelled]
        if len(self._waiting) >= self._capacity:
            raise ModelBusy(
                f"{len(self._waiting)} requests are waiting for the model already; try again",
                retry_after_s=1.0,
            )
        self._waiting.append(work)

    def remove(self, work: Item) -> None:
        """Take out `work`, whether it waits or is under way. Does nothing if it has left."""
        for place in (self._waiting, self._scoring, self._streams):
            if work in place:
                place.remove(work)

    def close(self) -> None:
        """Take no more, and refuse what waits. What is under way goes on."""
        self._closed = True

    @property
    def is_closed(self) -> bool:
        return self._closed

    @property
    def has_work(self) -> bool:
        """Whether `next_pass` has anything to run or to end."""
        return bool(self._scoring or self._streams) or any(
            work.ready or work.is_cancelled or self._closed for work in self._waiting
        )

    def next_pass(self, now: float) -> Pass[Item]:
        """Plan the next pass. If anything is under way, the pass has at least one turn.

        `now` is in seconds of the monotonic clock. A pass goes over the budget only where its one
        turn cannot be cut.
        """
        ended = self._without_cancelled()
        plan = _Plan[Item](self._budget.tokens)
        self._plan_streams(plan)
        if all(plan.add(work) for work in self._scoring):
            ended += self._plan_waiting(plan, now)
        return Pass(tuple(plan.turns), tuple(ended))

    def _without_cancelled(self) -> list[tuple[Item, Ending]]:
        everything = (*self._streams, *self._scoring, *self._waiting)
        cancelled = [work for work in everything if work.is_cancelled]
        for work in cancelled:
            self.remove(work)
        return [(work, Ending.CANCELLED) for work in cancelled]

    def _plan_streams(self, plan: _Plan[Item]) -> None:
        kept_for_others = self._budget.tokens // 2
        served, left_out = [], []
        for work in self._streams:
            if plan.room > kept_for_others and plan.add(work, leave=kept_for_others):
                served.append(work)
            else:
                left_out.append(work)
        self._streams = left_out + served

    def _plan_waiting(self, plan: _Plan[Item], now: float) -> list[tuple[Item, Ending]]:
        """Begin what waits, as far as there is room. Returns what ends instead."""
        ended: list[tuple[Item, Ending]] = []
        for work in self.waiting:
            if plan.room <= 0:
                break
            ending = self._ending(work, now)
            if ending is not None:
                ended.append((work, ending))
                self._waiting.remove(work)
            elif self._may_begin(work):
                if not plan.add(work):
                    break
                self._waiting.remove(work)
                (self._scoring if work.stream is None else self._streams).append(work)
        return ended

    def _ending(self, work: Item, now: float) -> Ending | None:
        if self._closed:
            return Ending.STOPPING
        if work.deadline is not None and now >= work.deadline:
            return Ending.LATE
        if work.ready and work.tokens_wanted(1) == 0:
            return Ending.EMPTY
        return None

    def _may_begin(self, work: Item) -> bool:
        return work.ready and (work.stream is None or len(self._streams) < self._most_streams)


class _Plan(Generic[Item]):
    """A pass while it is planned: its turns so far, and how many tokens it has room for."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.turns: list[Turn[Item]] = []

    def add(self, work: Item, leave: int = 0) -> bool:
        """Give `work` a turn that leaves `leave` tokens of room. False where it does not fit.

        The first turn always fits: what is larger than a whole pass has to run at some time.
        """
        room = self.room - leave
        tokens = work.tokens_wanted(room)
        if tokens > room and self.turns:
            return False
        self.turns.append(Turn(work, tokens))
        self.room -= tokens
        return True
