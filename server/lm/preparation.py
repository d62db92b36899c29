"""Tokenizing a request's texts before the model runs it, on threads of its own.

Long texts take seconds, so they are tokenized neither on the event loop nor on the model's thread.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from server.errors import Internal, KgtError
from server.lm.tokens import Steps
from server.lm.work import ModelWork

LONG_CHARACTERS = 1 << 13
"""A request with a longer text than this is prepared by one of the two threads only."""

_Turn: TypeAlias = "tuple[ModelWork, Steps[None]]"

_log = logging.getLogger("kgt")


class Preparation:
    """Prepares work that already has its place in the model's queue, one step at a time, in turn.

    A step is a few milliseconds of tokenizing, unless a text cannot be cut. Long texts are left to
    one thread, so that they delay only each other, however many there are. The second thread is
    there for everything else. Between steps, work that was cancelled or is too late is refused.

    `start` is called with work that is prepared, `refuse` with work that cannot be. The model's
    queue bounds how much is prepared at once.
    """

    def __init__(
        self,
        start: Callable[[ModelWork], None],
        refuse: Callable[[ModelWork, KgtError], None],
    ) -> None:
        self._start = start
        self._refuse = refuse
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

    def begin(self, work: ModelWork) -> None:
        """Prepare `work`, then start or refuse it."""
        lane = self._long if work.longest_text > LONG_CHARACTERS else self._short
        self._give_turn(lane, (work, work.prepare()))

    def close(self) -> None:
        """End the threads after the step that each is in.

        What is left is neither started nor refused; closing the model's worker ends it.
        """
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
            lane, (work, steps) = found
            try:
                work.require_wanted()
                next(steps)
            except StopIteration:
                self._start(work)
            except KgtError as error:
                self._refuse(work, error)
            except Exception as error:
                # A defect of a tokenizer. Its message may hold what a user wrote.
                _log.error("texts could not be tokenized: %s", type(error).__name__)
                self._refuse(
                    work, Internal("the texts could not be tokenized; the server's log says more")
                )
            else:
                self._give_turn(lane, (work, steps))

    def _give_turn(self, lane: deque[_Turn], turn: _Turn) -> None:
        with self._changed:
            if not self._closed:
                lane.append(turn)
                self._changed.notify_all()

    def _next_turn(self, lanes: tuple[deque[_Turn], ...]) -> tuple[deque[_Turn], _Turn] | None:
        """Wait for a turn in one of `lanes`; None once this is closed."""
        with self._changed:
            while not self._closed:
                for lane in lanes:
                    if lane:
                        return lane, lane.popleft()
                self._changed.wait()
            return None
