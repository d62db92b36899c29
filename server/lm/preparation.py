"""What a job needs before the model can run it: its texts as tokens. Neither on the event loop nor on the model's thread."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from server.errors import DeadlinePassed, Internal, KgtError
from server.lm.tokens import Steps
from server.lm.worker import Job, ModelWorker

THREADS = 2
"""One goes on while the other is in a text that cannot be cut."""

_log = logging.getLogger("kgt")


class Preparation:
    """Prepares jobs that have their place in the worker's queue, each a step at a time, in turn.

    A step is a few milliseconds of tokenizing, so that a request with long texts delays others by its steps and not by
    its whole. Between steps, what was cancelled or is too late is dropped. The worker's queue bounds what is prepared.
    """

    def __init__(self, worker: ModelWorker) -> None:
        self._worker = worker
        self._turns: deque[tuple[Job, Steps[None]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._run, name=f"tokens-{n}", daemon=True) for n in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def begin(self, job: Job) -> None:
        """Prepare `job`, which the worker has queued; the worker runs or refuses it then."""
        self._give_turn(job, self._worker.preparation(job))

    def close(self) -> None:
        """End the threads after the step that each is in. The worker fails what is left."""
        with self._changed:
            self._closed = True
            self._turns.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (turn := self._next_turn()) is not None:
            job, steps = turn
            try:
                _require_wanted(job)
                next(steps)
            except StopIteration:
                self._worker.start(job)
            except KgtError as error:
                self._worker.refuse(job, error)
            except Exception as error:  # a defect of a tokenizer; its message may hold what a user wrote
                _log.error("texts could not be tokenized: %s", type(error).__name__)
                self._worker.refuse(job, Internal("the texts could not be tokenized; the server's log says more"))
            else:
                self._give_turn(job, steps)

    def _give_turn(self, job: Job, steps: Steps[None]) -> None:
        with self._changed:
            if not self._closed:
                self._turns.append((job, steps))
                self._changed.notify()

    def _next_turn(self) -> tuple[Job, Steps[None]] | None:
        with self._changed:
            while not self._turns and not self._closed:
                self._changed.wait()
            return None if self._closed else self._turns.popleft()


def _require_wanted(job: Job) -> None:
    if job.cancelled.is_set() or (job.deadline is not None and time.monotonic() >= job.deadline):
        raise DeadlinePassed("the deadline passed before the model was asked", retry_after_s=None)
