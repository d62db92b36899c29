"""Where traces and metrics go: to a collector over OTLP, and to Prometheus when it asks.

The rest is told to OpenTelemetry's SDK by its own variables: OTEL_SERVICE_NAME,
OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS and so on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import (
    OTELResourceDetector,
    Resource,
    ServiceInstanceIdResourceDetector,
)
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracerProvider, TracerProvider
from prometheus_client import CollectorRegistry, start_http_server

from kgt.addresses import Address
from server.errors import StartupError
from server.telemetry.sight import OpenTelemetrySight

_log = logging.getLogger("kgt")


def opened(otlp_endpoint: str, metrics_address: str, service: str = "kgt") -> OpenTelemetrySight:
    """What watches the process of a service, by its name.

    An empty address sends or serves nothing. Raises StartupError.
    """
    resource = Resource({"service.name": service, "service.version": version("kgt")})
    # Several servers, and replicas, send to one collector
    for detector in (ServiceInstanceIdResourceDetector(), OTELResourceDetector()):
        resource = resource.merge(detector.detect())
    closing: list[Callable[[], object]] = []
    readers: list[MetricReader] = []
    traces: TracerProvider = NoOpTracerProvider()
    metrics: MeterProvider = NoOpMeterProvider()
    if metrics_address:
        registry = CollectorRegistry()
        readers.append(PrometheusMetricReader(scope_info_enabled=False, registry=registry))
        closing.append(_served(registry, Address.parse(metrics_address)))
    if otlp_endpoint:
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(otlp_endpoint)))
        provider = SdkTracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(otlp_endpoint)))
        closing.append(provider.shutdown)
        traces = provider
    if readers:
        metered = SdkMeterProvider(readers, resource, shutdown_on_exit=False)
        closing.append(metered.shutdown)
        metrics = metered
    return OpenTelemetrySight(traces, metrics, closing)


def _served(registry: CollectorRegistry, address: Address) -> Callable[[], object]:
    """Serve the metrics for Prometheus, and return what ends that."""
    try:
        server, thread = start_http_server(address.port, address.host, registry)
    except OSError as error:
        raise StartupError(
            f"cannot serve metrics on {address.text}: {error.strerror} (KGT_METRICS_ADDRESS)"
        ) from error
    _log.info("metrics on http://%s:%d/metrics", address.host, server.server_port)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
