"""Every metric of the server, once: its name, its unit, and what it counts.

Prometheus sees the names with underscores and the unit behind them: `kgt.request.duration` is
`kgt_request_duration_seconds`, and a counter ends in `_total`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.metrics import (
    CallbackOptions,
    Counter,
    Histogram,
    Meter,
    Observation,
    UpDownCounter,
)

_CALL_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_STORE_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_FACTS = (0, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)

GAUGES = {
    "kgt.serving": ("", "1 while the server can answer, else 0"),
    "kgt.model.queue.depth": ("{request}", "requests that have not had a forward pass yet"),
    "kgt.model.token_budget": ("{token}", "tokens that a forward pass may read now"),
    "kgt.model.requests.waiting": ("{request}", "calls whose first request has not gone out yet"),
    "kgt.answers.memory": ("By", "what the remembered answers of the model take, about"),
    "kgt.facts.memory": ("By", "what the personal facts kept in memory take, about"),
    "kgt.process.memory": ("By", "resident memory of the process"),
}
"""The gauges, by name: unit and description. What they show is read when somebody asks."""


class Instruments:
    """The instruments of one meter. Attributes never name a user or hold a text of theirs."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.requests: Counter = meter.create_counter(
            "kgt.requests", "{request}", "calls that have ended, by rpc, status and reason"
        )
        self.active: UpDownCounter = meter.create_up_down_counter(
            "kgt.requests.active", "{request}", "calls under way, by rpc"
        )
        self.duration = self._seconds("kgt.request.duration", _CALL_S, "a call, by rpc")
        self.stages = self._seconds(
            "kgt.stage.duration", _CALL_S, "a stage of a call, by rpc and stage"
        )
        self.operations = self._seconds(
            "kgt.store.duration", _STORE_S, "a method of the store, by operation"
        )
        self.commits: Counter = meter.create_counter(
            "kgt.commits", "{commit}", "commits, by outcome: ok, or the error's reason"
        )
        self.retries: Counter = meter.create_counter(
            "kgt.retries", "{retry}", "by what: write, transaction, request or replica"
        )
        self.queue_wait = self._seconds(
            "kgt.model.queue.wait", _CALL_S, "from a question to its first forward pass, by kind"
        )
        self.passes = self._seconds("kgt.model.pass.duration", _CALL_S, "a forward pass")
        self.pass_tokens = self._sizes("kgt.model.pass.tokens", "{token}", _TOKENS, "in a pass")
        self.pass_requests = self._sizes(
            "kgt.model.pass.requests", "{request}", _REQUESTS, "that share a pass"
        )
        self.requests_away: UpDownCounter = meter.create_up_down_counter(
            "kgt.model.requests.active", "{request}", "away at a model elsewhere, by kind"
        )
        self.request_wait = self._seconds(
            "kgt.model.request.wait", _CALL_S, "from a question to its first request, by kind"
        )
        self.request_duration = self._seconds(
            "kgt.model.request.duration",
            _CALL_S,
            "a request to a model elsewhere, by kind, outcome",
        )
        self.request_texts = self._sizes(
            "kgt.model.request.texts", "{text}", _TEXTS, "in a request, by kind"
        )
        self.request_tokens = self._sizes(
            "kgt.model.request.tokens", "{token}", _TOKENS, "read for a request, by kind"
        )
        self.tokens: Counter = meter.create_counter(
            "kgt.model.tokens", "{token}", "by kind: read, generated, drafted, accepted"
        )
        self.lookups: Counter = meter.create_counter(
            "kgt.cache.lookups", "{lookup}", "by cache (answers, facts, texts) and result"
        )
        self.facts = self._sizes(
            "kgt.overlay.facts", "{fact}", _FACTS, "personal facts of the user who asks"
        )

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """A gauge of GAUGES."""

        def observed(_: CallbackOptions) -> Iterable[Observation]:
            yield Observation(float(read()))  # OTLP takes no bool

        unit, description = GAUGES[name]
        self._meter.create_observable_gauge(name, [observed], unit, description)

    def _seconds(self, name: str, bounds: Any, description: str) -> Histogram:
        return self._sizes(name, "s", bounds, description)

    def _sizes(self, name: str, unit: str, bounds: Any, description: str) -> Histogram:
        return self._meter.create_histogram(
            name, unit, description, explicit_bucket_boundaries_advisory=bounds
        )
