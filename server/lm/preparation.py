"""What a job needs before the model can run it: its texts as tokens. Neither on the event loop nor
on the model's thread."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TypeAlias

from server.errors import DeadlinePassed, Internal, KgtError
from server.lm.tokens import Steps
from server.lm.worker import Job, ModelWorker

LONG_CHARACTERS = 1 << 13
"""A request with a longer text than this is prepared by one of the threads only."""

_Turn: TypeAlias = "tuple[Job, Steps[None]]"

_log = logging.getLogger("kgt")


class Preparation:
    """Prepares jobs that have their place in the worker's queue, each a step at a time, in turn.

    A step is a few milliseconds of tokenizing, unless a text cannot be cut. Long texts are left to
    one thread, so that however many there are they only delay each other; the second thread is
    there for the rest. Between steps, what was cancelled or is too late is dropped. The worker's
    queue bounds what is prepared.
    """

    def __init__(self, worker: ModelWorker) -> None:
        self._worker = worker
        self._short: deque[_Turn] = deque()
        self._long: deque[_Turn] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, args=(lanes,), name=f"tokens-{n}", daemon=True)
            for n, lanes in enumerate(((self._long, self._short), (self._short,)))
        ]
        for thread in self._threads:
            thread.start()

    def begin(self, job: Job) -> None:
        """Prepare `job`, which the worker has queued; the worker runs or refuses it then."""
        lane = self._long if job.longest_text > LONG_CHARACTERS else self._short
        self._give_turn(lane, (job, self._worker.preparation(job)))

    def close(self) -> None:
        """End the threads after the step that each is in. The worker fails what is left."""
        with self._changed:
            self._closed = True
            self._short.clear()
            self._long.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self, lanes: tuple[deque[_Turn], ...]) -> None:
        """Take turns from the first of `lanes` that has any."""
        while (found := self._next_turn(lanes)) is not None:
            lane, (job, steps) = found
            try:
                _require_wanted(job)
                next(steps)
            except StopIteration:
                self._worker.start(job)
            except KgtError as error:
                self._worker.refuse(job, error)
            except (
                Exception
            ) as error:  # a defect of a tokenizer; its message may hold what a user wrote
                _log.error("texts could not be tokenized: %s", type(error).__name__)
                self._worker.refuse(
                    job, Internal("the texts could not be tokenized; the server's log says more")
                )
            else:
                self._give_turn(lane, (job, steps))

    def _give_turn(self, lane: deque[_Turn], turn: _Turn) -> None:
        with self._changed:
            if not self._closed:
                lane.append(turn)
                self._changed.notify_all()

    def _next_turn(self, lanes: tuple[deque[_Turn], ...]) -> tuple[deque[_Turn], _Turn] | None:
        with self._changed:
            while not self._closed:
                for lane in lanes:
                    if lane:
                        return lane, lane.popleft()
                self._changed.wait()
            return None


def _require_wanted(job: Job) -> None:
    if job.cancelled.is_set() or (job.deadline is not None and time.monotonic() >= job.deadline):
        raise DeadlinePassed("the deadline passed before the model was asked", retry_after_s=None)
