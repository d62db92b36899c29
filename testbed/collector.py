"""A collector that takes by OTLP what a server tells about itself."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

_TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"
_METRICS = "opentelemetry.proto.collector.metrics.v1.MetricsService"


@dataclass(slots=True)
class Collected:
    """How often each span came, and each metric, by their names."""

    endpoint: str = ""
    spans: Counter[str] = field(default_factory=Counter)
    metrics: Counter[str] = field(default_factory=Counter)
    services: set[str] = field(default_factory=set)
    """The names of the services that sent spans."""

    def take_spans(self, request: Any, _: grpc.ServicerContext) -> Any:
        for resource in request.resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.services.add(named["service.name"])
            for scope in resource.scope_spans:
                self.spans.update(span.name for span in scope.spans)
        return traces.ExportTraceServiceResponse()

    def take_metrics(self, request: Any, _: grpc.ServicerContext) -> Any:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                self.metrics.update(metric.name for metric in scope.metrics)
        return metrics.ExportMetricsServiceResponse()


@contextlib.contextmanager
def collector() -> Iterator[Collected]:
    """A collector on a free port of the loopback interface, until the block ends."""
    collected = Collected()
    server = grpc.server(ThreadPoolExecutor(1))
    for service, take, request in (
        (_TRACES, collected.take_spans, traces.ExportTraceServiceRequest),
        (_METRICS, collected.take_metrics, metrics.ExportMetricsServiceRequest),
    ):
        export = grpc.unary_unary_rpc_method_handler(
            take, request.FromString, lambda response: response.SerializeToString()
        )
        handler = grpc.method_handlers_generic_handler(service, {"Export": export})
        server.add_generic_rpc_handlers((handler,))
    collected.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collected
    finally:
        server.stop(None).wait()
