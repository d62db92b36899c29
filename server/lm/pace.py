"""How fast the model gets through the prompts that wait, so that overload is told early."""

from __future__ import annotations

from collections import deque
from statistics import median

from server.errors import ModelBusy

MEASURED_PASSES = 16
REMEMBERED_S = 60.0
"""An older measurement tells nothing about the queue of now."""


class Overloaded(ModelBusy):
    """So much waits for the model that this call cannot be answered before its deadline."""

    reason = "OVERLOADED"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(
            "too much is waiting for the model to answer before this call's deadline;"
            " try again later, or give the call more time",
            max(1.0, retry_after_s),
        )


class Pace:
    """The median pace of the last passes that left prompts waiting.

    Only those show what a queue can expect. A pass that had room left took longer for each token.
    """

    def __init__(self) -> None:
        self._rates: deque[tuple[float, float]] = deque(maxlen=MEASURED_PASSES)
        """Tokens of prompts in a second, each with the time when it was measured."""

    def note(self, tokens: int, began: float, ended: float) -> None:
        """A pass read `tokens` tokens of prompts, and left others waiting."""
        if tokens and ended > began:
            self._rates.append((ended, tokens / (ended - began)))

    def seconds(self, tokens: int, now: float) -> float:
        """How long it takes to read `tokens`; 0 where nothing was measured lately."""
        rates = [rate for measured, rate in self._rates if now - measured <= REMEMBERED_S]
        return tokens / median(rates) if rates else 0.0
