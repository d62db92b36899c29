"""What runs in the next forward pass: a plan over token counts, without threads and without torch.

A pass holds, in this order and up to its token budget:

1. the next tokens of the generations that are writing. They leave half of the budget to the others,
   and those that found no room come first in the next pass;
2. prompts and what is scored, those of the oldest call first. All work of a call is as old as its
   first, so the later stages of a call that has begun come before calls that come after it. While
   any generation is writing, the prompts of a pass take at most a share of the budget, so that the
   next word waits for no long text of others.

What is longer than that share is read in parts, and takes half of it while others wait. What cannot
be cut waits until it is the oldest, and then runs whatever its length is. The oldest always gets a
part of the next pass, or of the one after it, so nothing waits for ever.

A generation also needs a free stream; while there is none, later work overtakes it. Work for which
there is too little time is refused at once (`server.lm.pace`).
"""

from __future__ import annotations

import enum
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from server.errors import ModelBusy, ShuttingDown
from server.lm.pace import Overloaded, Pace
from server.lm.plan import Item, Plan, Rooms, Turn, Work, planned
from server.tuning.ticket import Ticket

RECOVERY_PASSES = 256
"""After this many passes that fit, a budget that was halved is doubled. A try that comes too early
costs one failed pass."""

_LEAST_BUDGET = 16

STOPPING = "the server is stopping; try another one, or try again later"


class Ending(enum.Enum):
    """Why work leaves the schedule without another pass."""

    EMPTY = "there is nothing to read"
    CANCELLED = "nobody waits for the result any more"
    LATE = "the deadline passed before the first forward pass"
    HOPELESS = "too little time is left for what such a call needs, and not all fit the passes"
    STOPPING = "the server is stopping"


@dataclass(frozen=True, slots=True)
class Pass(Generic[Item]):
    """One forward pass, and the work that left the schedule while it was planned."""

    plan: Plan[Item]
    ended: tuple[tuple[Item, Ending], ...]
    began: float

    @property
    def turns(self) -> tuple[Turn[Item], ...]:
        return (*self.plan.writers, *self.plan.readers)


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

    At most `capacity` items of calls that have not begun wait, and at most `streams` generations
    are under way. `prompt_share` is the share of the budget that prompts get while any of them is
    writing.
    """

    def __init__(
        self, budget: Budget, capacity: int, streams: int, prompt_share: float = 1.0
    ) -> None:
        self._budget = budget
        self._capacity = capacity
        self._most_streams = streams
        self._prompt_share = prompt_share
        self._pace = Pace()
        self._numbers = itertools.count()
        self._closed = False
        self._running: Pass[Item] | None = None
        self._is_crowded = False
        """Whether the last pass left prompts waiting, for lack of room."""
        self._writers_waited = False
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

    def add(self, work: Item, now: float) -> None:
        """Put `work` into the queue, behind that of older calls.

        Raises ModelBusy, Overloaded and ShuttingDown. The work of a call that has begun is taken
        even if the queue is full.
        """
        if self._closed:
            raise ShuttingDown(STOPPING)
        if work.ticket.began is None:
            self._require_room()
            self._require_time(work, now)
        if work.ticket.number is None:
            work.ticket.number = next(self._numbers)
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
        ended = [*self._without_cancelled(), *self._without_expired(now)]
        writing = [work for work in self._streams if work.is_writing]
        prompts = self._prompts()
        budget = self._budget.tokens
        rooms = Rooms(budget, max(1, int(budget * self._prompt_share)))
        plan = planned(writing, prompts, rooms, writers_may_wait=not self._writers_waited)
        self._writers_waited = bool(writing) and not plan.writers
        self._begin(plan, now)
        self._is_crowded = sum(work.tokens_left for work in prompts) > plan.prompt_tokens
        self._running = Pass(plan, tuple(ended), now)
        return self._running

    def note_end(self, now: float) -> None:
        """The pass that was planned last has ended."""
        assert self._running is not None, "a pass ends after it was planned"
        if self._is_crowded:
            self._pace.note(self._running.plan.prompt_tokens, self._running.began, now)
        self._running = None

    # What leaves

    def _without_cancelled(self) -> list[tuple[Item, Ending]]:
        everything = (*self._streams, *self._scoring, *self._waiting)
        cancelled = [work for work in everything if work.is_cancelled]
        for work in cancelled:
            self.remove(work)
        return [(work, Ending.CANCELLED) for work in cancelled]

    def _without_expired(self, now: float) -> list[tuple[Item, Ending]]:
        ended = []
        for work in self.waiting:
            ending = self._ending(work, now)
            if ending is not None:
                ended.append((work, ending))
                self._waiting.remove(work)
        return ended

    def _ending(self, work: Item, now: float) -> Ending | None:
        if self._closed:
            return Ending.STOPPING
        if work.ready and not work.tokens_left:
            return Ending.EMPTY
        if work.deadline is None:
            return None
        if now >= work.deadline:
            return Ending.LATE
        needed_s = 0.0 if work.ticket.began is not None else work.ticket.expected.seconds
        if self._is_crowded and now + needed_s > work.deadline:
            return Ending.HOPELESS
        return None

    # What runs

    def _prompts(self) -> list[Item]:
        """What may read a prompt or be scored in the next pass, that of the oldest call first."""
        free = self._most_streams - len(self._streams)
        found = [*self._scoring, *(work for work in self._streams if not work.is_writing)]
        for work in sorted(self._waiting, key=_age):
            if work.ready and (work.stream is None or free > 0):
                found.append(work)
                free -= work.stream is not None
        return sorted(found, key=_age)

    def _begin(self, plan: Plan[Item], now: float) -> None:
        """Move what has its first turn out of the queue. Writers that had none go first next."""
        for turn in plan.readers:
            work, ticket = turn.work, turn.work.ticket
            ticket.tokens_read += turn.tokens
            if ticket.began is None:
                ticket.began = now
            if work in self._waiting:
                self._waiting.remove(work)
                (self._scoring if work.stream is None else self._streams).append(work)
        served = [turn.work for turn in plan.writers]
        self._streams = [work for work in self._streams if work not in served] + served

    # What is refused

    def _require_room(self) -> None:
        if len(self._waiting) >= self._capacity:
            self._waiting = [w for w in self._waiting if not w.is_cancelled]
        if len(self._waiting) >= self._capacity:
            raise ModelBusy(
                f"{len(self._waiting)} requests are waiting for the model already; try again",
                retry_after_s=1.0,
            )

    def _require_time(self, work: Item, now: float) -> None:
        """Raise Overloaded if what is ahead cannot be read soon enough for `work`."""
        if work.deadline is None:
            return
        wait_s = self._pace.seconds(self._tokens_ahead(), now)
        missing_s = now + wait_s + work.ticket.expected.seconds - work.deadline
        if wait_s > 0 and missing_s > 0:
            raise Overloaded(retry_after_s=missing_s)

    def _tokens_ahead(self) -> int:
        """The tokens that all calls with work here have still to read, after the running pass."""
        left: Counter[Ticket] = Counter()
        for work in (*self._waiting, *self.under_way):
            if not (work.is_writing or work.is_cancelled):
                left[work.ticket] += work.tokens_left
        for turn in self._running.plan.readers if self._running else ():
            left[turn.work.ticket] -= turn.tokens
        return sum(
            max(0, tokens, ticket.expected.tokens - ticket.tokens_read)
            for ticket, tokens in left.items()
        )


def _age(work: Work) -> int:
    """The number of the call in the order in which calls came."""
    assert work.ticket.number is not None, "it is drawn when work is added"
    return work.ticket.number
