"""What is away: requests to another server, and questions at replicas of the model."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping

from opentelemetry.trace import NoOpTracer, Span, SpanKind, Tracer, set_span_in_context

from server.telemetry.instruments import Instruments
from server.telemetry.spans import TRACE_CONTEXT, ending, kind_of

_HANDED_ON = "traceparent"
"""`tracestate` is a caller's own, and may hold anything."""


class Request:
    """One request, as the port `Sent` has it."""

    def __init__(self, tracer: Tracer, instruments: Instruments, span: Span, tokens: int) -> None:
        self._instruments = instruments
        self._span = span
        self._retries = 0
        self.tokens = 0
        self.headers = _headers(tracer, span)
        self.read(tokens)

    def read(self, tokens: int) -> None:
        self.tokens += tokens
        self._span.set_attribute("kgt.tokens_read", self.tokens)

    def retried(self, what: str) -> None:
        self._retries += 1
        self._instruments.retries.add(1, {"what": what})
        self._span.add_event("retry", {"what": what})
        self._span.set_attribute("kgt.request.retries", self._retries)


@contextlib.contextmanager
def away(
    tracer: Tracer, instruments: Instruments, kind: str, parent: Span, texts: int, tokens: int
) -> Iterator[Request]:
    """A request of the question whose span is `parent`, until the context ends."""
    within, attributes = set_span_in_context(parent), {"kgt.request.texts": texts}
    span = tracer.start_span("model request", within, SpanKind.CLIENT, attributes)
    request = Request(tracer, instruments, span, tokens)
    labels, began, outcome = {"kind": kind}, time.monotonic(), "ok"
    instruments.requests_away.add(1, labels)
    try:
        with ending(span):
            yield request
    except (asyncio.CancelledError, GeneratorExit):
        outcome = "left"
        raise
    except BaseException as error:
        outcome = kind_of(error)
        raise
    finally:
        took_s = time.monotonic() - began
        instruments.requests_away.add(-1, labels)
        instruments.request_duration.record(took_s, {**labels, "outcome": outcome})
        instruments.request_texts.record(texts, labels)
        instruments.request_tokens.record(request.tokens, labels)


def _headers(tracer: Tracer, span: Span) -> Mapping[str, str]:
    """What continues the trace elsewhere; nothing where no traces are made here."""
    if isinstance(tracer, NoOpTracer):
        return {}
    headers: dict[str, str] = {}
    TRACE_CONTEXT.inject(headers, set_span_in_context(span))
    return {name: value for name, value in headers.items() if name == _HANDED_ON}
