"""One thread that runs the model, so that the event loop never waits for a tensor.

Each turn of the thread asks the schedule for a forward pass, runs it, and gives each request its
own results.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import torch

from server.errors import Internal, KgtError, ModelBusy, ShuttingDown
from server.lm.blocks import Segment
from server.lm.forward import Forward, Results
from server.lm.pace import Overloaded
from server.lm.schedule import STOPPING, Budget, Ending, Schedule
from server.lm.work import ModelWork, deadline_passed
from server.tuning.ports import Asked, Sight
from server.tuning.watching import UNSEEN

_Read: TypeAlias = tuple[ModelWork, Segment]
"""Work, and what a pass reads of it."""

_log = logging.getLogger("kgt")


class ModelWorker:
    """Runs work as the schedule plans it.

    `capacity`, `streams`, `budget` and `prompt_share` are the schedule's bounds. When memory runs
    out, the budget is halved and what did not fit runs again.
    """

    def __init__(
        self,
        forward: Forward,
        *,
        capacity: int,
        budget: int,
        streams: int,
        prompt_share: float,
        sight: Sight = UNSEEN,
    ) -> None:
        self.budget = Budget(budget)
        self._forward = forward
        self._schedule = Schedule[ModelWork](self.budget, capacity, streams, prompt_share)
        self._passes = 0
        self._sight = sight
        sight.gauge("kgt.model.queue.depth", lambda: len(self._schedule.waiting))
        sight.gauge("kgt.model.token_budget", lambda: self.budget.tokens)
        self._changed = threading.Condition()
        """Guards the schedule; notified when there may be something to run."""
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def submit(self, work: ModelWork) -> None:
        """Queue `work`: it keeps its place until `start`.

        Raises ModelBusy, Overloaded and ShuttingDown.
        """
        with self._changed:
            self._schedule.add(work, time.monotonic())

    def start(self, work: ModelWork) -> None:
        """`work` is prepared and may run, once its partners are prepared too."""
        with self._changed:
            work.settled = True
            self._changed.notify_all()

    def refuse(self, work: ModelWork, error: KgtError) -> None:
        """`work` cannot be prepared, or nobody wants it any more."""
        with self._changed:
            self._schedule.remove(work)
            work.settled = True
            self._changed.notify_all()
        work.fail(error)

    def close(self) -> None:
        """Finish what is under way, refuse what waits, and end the thread."""
        with self._changed:
            self._schedule.close()
            self._changed.notify()
        self._thread.join()

    # On the model's thread

    def _run(self) -> None:
        while self._wait_for_work():
            try:
                self._one_pass()
            except Exception as error:
                # A defect. It ends what is under way, but not the thread.
                self._fail(self._under_way(), error)

    def _wait_for_work(self) -> bool:
        """Return once there is work. False: there is none, and none will come."""
        with self._changed:
            while not self._schedule.has_work:
                if self._schedule.is_closed:
                    return False
                self._changed.wait()
            return True

    def _one_pass(self) -> None:
        with self._changed:
            planned = self._schedule.next_pass(time.monotonic())
        for work, ending in planned.ended:
            self._end(work, ending)
        reads = []
        for turn in planned.turns:
            try:
                reads.append((turn.work, turn.work.segment(turn.tokens)))
            except Exception as error:
                self._fail([turn.work], error)
        if reads:
            self._read(reads)
        with self._changed:
            self._schedule.note_end(time.monotonic())

    def _read(self, reads: Sequence[_Read]) -> None:
        """Run one forward pass, and give each work its own results."""
        results: Results | None = None
        self._passes += 1
        try:
            with self._sight.forward_pass(self._passes, _questions(reads)):
                results = self._forward.run([segment for _, segment in reads])
        except torch.OutOfMemoryError:
            pass  # handled below: here the error's frames would still hold the memory
        except Exception as error:
            self._find_the_fault(reads, error)
            return
        if results is None:
            self._halve(reads)
            return
        if self.budget.note_fit():
            _log.info("the token budget goes back up to %d", self.budget.tokens)
        unread = self._give_results(reads, results)
        if unread:
            self._halve(unread)

    def _find_the_fault(self, reads: Sequence[_Read], error: Exception) -> None:
        """A pass failed: run each work by itself, so that only the one at fault fails."""
        if len(reads) == 1:
            self._fail([work for work, _ in reads], error)
        else:
            for work, segment in reads:
                self._read([(work, work.segment(len(segment.tokens)))])

    def _give_results(self, reads: Sequence[_Read], results: Results) -> list[_Read]:
        """Give each work its rows of `results`. Returns those that memory ran out for."""
        unread = []
        row = state = 0
        for work, segment in reads:
            rows, states = row + len(segment.read), state + len(segment.keyed)
            try:
                own = Results(results.logits[row:rows], results.states[state:states], self._passes)
                self._advance(work, segment, own)
            except torch.OutOfMemoryError:
                unread.append((work, segment))
            except Exception as error:
                self._fail([work], error)
            row, state = rows, states
        return unread

    def _advance(self, work: ModelWork, segment: Segment, results: Results) -> None:
        work.ticket.ended = time.monotonic()
        kept = work.advance(segment, results)
        if work.finished:
            self._remove(work)
            work.complete()
        elif kept is not None:
            self._forward.keep(segment, kept)

    def _halve(self, reads: Sequence[_Read]) -> None:
        """Allow smaller passes from now on. What did not fit is cut again and runs again.

        It fails as ModelBusy if passes cannot be any smaller.
        """
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        before = self.budget.tokens
        if not self.budget.shrink(sum(len(segment.tokens) for _, segment in reads)):
            error = ModelBusy("the model's device has no memory left; try again", retry_after_s=1.0)
            self._fail([work for work, _ in reads], error)
            return
        after = self.budget.tokens
        _log.warning("out of memory: the token budget goes from %d to %d", before, after)
        with self._changed:
            pending = (*self._schedule.under_way, *self._schedule.waiting)
        for work in pending:
            work.cut(after)

    def _end(self, work: ModelWork, ending: Ending) -> None:
        """Tell the caller of work that left the schedule without another pass."""
        self._forget(work)
        match ending:
            case Ending.EMPTY:
                work.complete()
            case Ending.LATE:
                work.fail(deadline_passed())
            case Ending.HOPELESS:
                work.fail(Overloaded(retry_after_s=work.ticket.expected.seconds))
            case Ending.STOPPING:
                work.fail(ShuttingDown(STOPPING))
            case Ending.CANCELLED:
                pass  # nobody listens

    def _fail(self, works: Iterable[ModelWork], error: Exception) -> None:
        """End `works` with `error`."""
        told = _told(error)
        for work in works:
            self._remove(work)
            work.fail(told)

    def _under_way(self) -> Sequence[ModelWork]:
        with self._changed:
            return self._schedule.under_way

    def _remove(self, work: ModelWork) -> None:
        with self._changed:
            self._schedule.remove(work)
        self._forget(work)

    def _forget(self, work: ModelWork) -> None:
        if work.stream is not None:
            self._forward.forget(work.stream)


def _told(error: Exception) -> KgtError:
    """What callers are told of an error. A library's may hold what users wrote."""
    if isinstance(error, KgtError):
        return error
    _log.error("a forward pass failed: %s", type(error).__name__)
    return Internal("a forward pass of the model failed; the server's log says more")


def _questions(reads: Sequence[_Read]) -> list[tuple[Asked, int]]:
    """What a pass reads, as it is watched."""
    return [(work.asked, len(segment.tokens)) for work, segment in reads]
