"""What a request cost: the model's work, and where the time went."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from server.tuning.ports import ModelCost
from server.tuning.watching import call_watch


@dataclass(frozen=True, slots=True)
class Cost:
    """The model's cost and each stage's time in ms, in the order in which the stages began."""

    model: ModelCost = field(default_factory=ModelCost)
    stages_ms: tuple[tuple[str, float], ...] = ()


class CostMeter:
    """Adds up the cost of one request, and tells it to what watches the call."""

    def __init__(self) -> None:
        self._model = ModelCost()
        self._stages_ms: dict[str, float] = {}
        self._watch = call_watch.get()

    def add(self, cost: ModelCost) -> None:
        self._model += cost
        self._watch.spent(cost)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time spent inside as part of stage `name`."""
        started = time.monotonic()
        self._stages_ms.setdefault(name, 0.0)
        try:
            with self._watch.stage(name):
                yield
        finally:
            self._stages_ms[name] += (time.monotonic() - started) * 1000

    def total(self) -> Cost:
        return Cost(self._model, tuple(self._stages_ms.items()))
