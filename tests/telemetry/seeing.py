"""A sight whose spans and metrics stay in this process, and what tests ask of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext
from prometheus_client import CollectorRegistry, generate_latest

from server.telemetry.sight import OpenTelemetrySight


class Seen:
    """What a sight has seen."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._registry = CollectorRegistry()
        traces = TracerProvider(shutdown_on_exit=False)
        traces.add_span_processor(SimpleSpanProcessor(self._exporter))
        reader = PrometheusMetricReader(scope_info_enabled=False, registry=self._registry)
        metrics = MeterProvider([reader], shutdown_on_exit=False)
        self.sight = OpenTelemetrySight(traces, metrics, [traces.shutdown, metrics.shutdown])

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """The spans that have ended."""
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def path(self, span: ReadableSpan) -> list[str]:
        """The names of the spans that hold `span`, the outermost first, and its own."""
        by_id = {context_of(each).span_id: each for each in self.spans}
        names = [span.name]
        while span.parent is not None and span.parent.span_id in by_id:
            span = by_id[span.parent.span_id]
            names.insert(0, span.name)
        return names

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """What Prometheus would read; None where there is nothing."""
        return self._registry.get_sample_value(name, dict(labels or {}))

    def scraped(self) -> str:
        """The page that Prometheus reads."""
        return generate_latest(self._registry).decode()


def context_of(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def attributes_of(held: ReadableSpan | Link) -> Mapping[str, Any]:
    return held.attributes or {}
