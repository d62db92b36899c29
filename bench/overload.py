"""python -m bench.overload: what callers get when more calls come than the model can answer.

A simulation: the service's own schedule and estimates, on a clock that a script moves by what each
pass reads. 80% of the calls are Answers, 20% Personalizes; they come at random times, and each has
the same deadline. Passes take as long as they do with the default model on two cores. Once the
schedule knows the deadlines, and once it does not, so that callers just leave when theirs has
passed. The last line is JSON: calls that ended in time, in a second; and the number of calls that
were refused when they came, that were refused later, and that ended too late.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.lm.defaults import PROMPT_SHARE
from server.lm.pace import Overloaded
from server.lm.schedule import Budget, Ending, Schedule
from server.rpc.needs import Needs
from server.tuning.ticket import Ticket

PASS_S, TOKEN_S, WRITER_S = 0.030, 0.93e-3, 1.3e-3
"""Of a forward pass, of a token of a prompt in it, and of a text that is being written."""
BETWEEN_S = 0.004
"""Between two questions of a call: the store, the tokenizer, the event loop."""
TOKENS, STREAMS = 2048, 32
CUTS_FROM = 160
"""Scoring with fewer tokens is not cut."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A question to the model: tokens to read, and how many to write; 0 is scoring."""

    tokens: int
    text: int = 0


@dataclass(slots=True, eq=False)
class Call:
    """A call and what it has still to ask."""

    method: str
    ends: float
    ticket: Ticket
    stages: Iterator[Stage]


@dataclass(slots=True, eq=False)
class Question:
    """A call's work for the model (server.lm.plan.Work)."""

    call: Call
    stage: Stage
    number: int
    deadline: float | None
    tokens_left: int = field(init=False)
    written: int = 0
    is_cancelled: bool = False
    ready: bool = True

    def __post_init__(self) -> None:
        self.tokens_left = self.stage.tokens

    @property
    def ticket(self) -> Ticket:
        return self.call.ticket

    @property
    def stream(self) -> int | None:
        return self.number if self.stage.text else None

    @property
    def is_writing(self) -> bool:
        return self.written > 0

    def tokens_wanted(self, room: int) -> int:
        can_be_cut = self.stage.text or room >= CUTS_FROM
        return min(room, self.tokens_left) if can_be_cut else self.tokens_left

    def read(self, tokens: int) -> bool:
        """Read, and write a token after the prompt. Returns whether that was all."""
        self.tokens_left -= tokens
        if self.tokens_left or not self.stage.text:
            return not self.tokens_left
        self.written, self.tokens_left = self.written + 1, 1
        return self.written == self.stage.text


class Simulation:
    """One run: calls that come `rate` times a second for `seconds`, with a deadline each."""

    def __init__(
        self, rate: float, deadline_s: float, seconds: float, share: float, *, told: bool
    ) -> None:
        self._rng = random.Random(1)
        self._schedule = Schedule[Question](Budget(TOKENS), 1 << 30, STREAMS, share)
        self._needs = Needs()
        self._numbers = itertools.count()
        self._events: list[tuple[float, int, Call | None]] = []
        """Calls that come (None), or ask again, by time."""
        self._deadline_s = deadline_s
        self._told = told
        self.counts: Counter[str] = Counter()
        self.now = 0.0
        at = 0.0
        while (at := at + self._rng.expovariate(rate)) < seconds:
            self._happens(at, None)

    def run(self) -> None:
        while self._events or self._schedule.has_work:
            if not self._schedule.has_work:
                self.now = max(self.now, self._events[0][0])
            self._ask_until(self.now)
            if self._schedule.has_work:
                self._one_pass()

    def _happens(self, at: float, call: Call | None) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), call))

    def _ask_until(self, now: float) -> None:
        while self._events and self._events[0][0] <= now:
            at, number, call = heapq.heappop(self._events)
            call = call or self._new_call(at)
            stage = next(call.stages, None)
            if stage is None:
                self._ended(call, at, "in_time" if at <= call.ends else "too_late")
                continue
            deadline = call.ends if self._told else None
            try:
                self._schedule.add(Question(call, stage, number, deadline), at)
            except Overloaded:
                self.counts["refused"] += 1

    def _new_call(self, at: float) -> Call:
        method = "Answer" if self._rng.random() < 0.8 else "Personalize"
        ticket = Ticket(self._needs.usual(method, at))
        return Call(method, at + self._deadline_s, ticket, self._stages(method))

    def _stages(self, method: str) -> Iterator[Stage]:
        """About what the default model is asked in bench.service."""
        rng = self._rng

        def about(tokens: int) -> int:
            return int(tokens * rng.uniform(0.6, 1.5))

        yield Stage(about(70))
        yield Stage(about(80), rng.choice([2, 3, 3, 4, 6]))
        if method == "Personalize" and rng.random() < 0.9:
            yield Stage(about(60), rng.randint(12, 26))
            yield Stage(about(250))
            yield Stage(about(80), 3)

    def _one_pass(self) -> None:
        for work in (*self._schedule.waiting, *self._schedule.under_way):
            work.is_cancelled = self.now >= work.call.ends
        planned = self._schedule.next_pass(self.now)
        for work, ending in planned.ended:
            told = ending is Ending.HOPELESS
            self._ended(work.call, self.now, "refused_later" if told else "too_late")
        took_s = PASS_S + TOKEN_S * planned.plan.prompt_tokens
        took_s += WRITER_S * len(planned.plan.writers)
        ends = self.now + took_s * self._rng.uniform(0.9, 1.2)
        self._ask_until(ends)
        self.now = ends
        self._schedule.note_end(self.now)
        for turn in planned.turns:
            turn.work.ticket.ended = self.now
            if turn.work.read(turn.tokens):
                self._schedule.remove(turn.work)
                self._happens(self.now + BETWEEN_S, turn.work.call)

    def _ended(self, call: Call, at: float, how: str) -> None:
        self.counts[how] += 1
        self._needs.note(call.method, call.ticket, cut_off=how == "too_late" or at > call.ends)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.overload", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--rates", default="4,6,12,24", help="calls a second")
    parser.add_argument("--deadlines", default="5,20", help="seconds that a call has")
    parser.add_argument("--seconds", type=float, default=300.0, help="how long calls come")
    parser.add_argument("--share", type=float, default=PROMPT_SHARE, help="KGT_PROMPT_SHARE")
    given = parser.parse_args(arguments)
    results = []
    for rate in map(float, given.rates.split(",")):
        for deadline_s in map(float, given.deadlines.split(",")):
            line: dict[str, Any] = {"calls_per_second": rate, "deadline_s": deadline_s}
            for name, told in (("here", True), ("nobody_refused", False)):
                run = Simulation(rate, deadline_s, given.seconds, given.share, told=told)
                run.run()
                counts = {key: run.counts[key] for key in ("refused", "refused_later", "too_late")}
                line[name] = {"in_time_per_second": round(run.counts["in_time"] / run.now, 2)}
                line[name] |= counts
            results.append(line)
            print(line, flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
