"""The port `Sight` on OpenTelemetry. Its providers are its own: nothing here is global."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from server.telemetry.calls import CallWatch, Means, PartWatch
from server.telemetry.instruments import Instruments
from server.telemetry.passes import Passes
from server.telemetry.store import watched
from server.tuning.ports import Asked, GraphStore, Watch

_SCOPE = "kgt"
_PROCESS = Path("/proc/self/statm")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class OpenTelemetrySight:
    """Watches the server, and gives what it sees to two providers.

    `closing` is called in order when it is over.
    """

    def __init__(
        self,
        traces: TracerProvider,
        metrics: MeterProvider,
        closing: Sequence[Callable[[], object]] = (),
    ) -> None:
        tracer = traces.get_tracer(_SCOPE)
        self._instruments = Instruments(metrics.get_meter(_SCOPE))
        self._passes = Passes(tracer, self._instruments)
        self._means = Means(tracer, self._instruments, self._passes)
        self._closing = closing
        if _PROCESS.exists():
            self.gauge("kgt.process.memory", _resident_bytes)

    def call(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> Watch:
        return CallWatch(self._means, method, metadata)

    def continued(self, headers: Mapping[str, str]) -> Watch:
        return PartWatch(self._passes, headers)

    def store(self, store: GraphStore) -> GraphStore:
        return watched(store)

    def forward_pass(
        self, number: int, reads: Sequence[tuple[Asked, int]]
    ) -> AbstractContextManager[None]:
        return self._passes.running(number, reads)

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        self._instruments.gauge(name, read)

    def close(self) -> None:
        for close in self._closing:
            close()


def _resident_bytes() -> float:
    return int(_PROCESS.read_text().split()[1]) * _PAGE_BYTES
