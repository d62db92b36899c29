"""Spans: how they begin inside each other, and how they end with an error.

The message of an error is left out, because it may hold what a user wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.errors import KgtError

Attributes = Mapping[str, str | int | float | bool]
TRACE_CONTEXT = TraceContextTextMapPropagator()
"""How a trace is named between processes (W3C): by `traceparent` and `tracestate`. Baggage is not
taken, because it may hold anything."""


def begun(tracer: Tracer, name: str, parent: Span, attributes: Attributes | None = None) -> Span:
    """A span inside another one."""
    return tracer.start_span(name, set_span_in_context(parent), SpanKind.INTERNAL, attributes)


@contextlib.contextmanager
def ending(span: Span) -> Iterator[None]:
    """End `span` with the context. An error leaves its kind there."""
    try:
        yield
    except BaseException as error:
        fail(span, error)
        raise
    finally:
        span.end()


def fail(span: Span, error: BaseException) -> None:
    """Mark `span` as failed. A caller who leaves is not a failure."""
    kind = kind_of(error)
    span.set_attribute("error.type", kind)
    if not isinstance(error, asyncio.CancelledError | GeneratorExit):
        span.set_status(Status(StatusCode.ERROR, kind))


def kind_of(error: BaseException) -> str:
    """The stable reason of this service's error, the class of any other."""
    return error.reason if isinstance(error, KgtError) else type(error).__name__
