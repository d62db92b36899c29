"""One call as it is watched: its spans, its metrics, and what identifies it."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_span_id,
    format_trace_id,
    get_current_span,
)

from server.telemetry.instruments import Instruments
from server.telemetry.passes import Passes
from server.telemetry.spans import TRACE_CONTEXT, begun, ending, kind_of
from server.tuning.ports import Asked, ModelCost
from server.tuning.watching import Unwatched

_REQUEST_ID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
"""A caller may name a request by a UUID. Any other text might be what a user wrote."""
_FAILURES = ("UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
"""The statuses that are a server's failure; the others are the caller's."""
_operation: ContextVar[Span | None] = ContextVar("operation", default=None)
"""The span of the store's method that is under way, also on the store's threads."""


@dataclass(frozen=True, slots=True)
class Means:
    """What calls are watched with."""

    tracer: Tracer
    instruments: Instruments
    passes: Passes


class CallWatch:
    """Watches one call (server.tuning.ports.Watch)."""

    def __init__(
        self, means: Means, method: str, metadata: Iterable[tuple[str, str | bytes]]
    ) -> None:
        given = {key: value for key, value in metadata if isinstance(value, str)}
        named = given.get("x-request-id", "")
        self._means = means
        service, _, rpc = method.rpartition("/")
        self._rpc = {"rpc": rpc}
        self._request_id = named if _REQUEST_ID.fullmatch(named) else uuid.uuid4().hex
        self._cost = ModelCost()
        self._began = time.monotonic()
        self._span = means.tracer.start_span(
            method,
            TRACE_CONTEXT.extract(given),
            SpanKind.SERVER,
            {
                "rpc.system": "grpc",
                "rpc.service": service,
                "rpc.method": rpc,
                "kgt.request_id": self._request_id,
            },
        )
        self._stages = [self._span]
        """The call's span, and those of the stages that are under way, the innermost last."""
        means.instruments.active.add(1, self._rpc)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        # Not in the context: a stage may be that of a generator, which ends in another one.
        span, began = begun(self._means.tracer, name, self._stages[-1]), time.monotonic()
        self._stages.append(span)
        try:
            with ending(span):
                yield
        finally:
            self._stages.remove(span)
            took_s = time.monotonic() - began
            self._means.instruments.stages.record(took_s, {**self._rpc, "stage": name})

    @contextlib.contextmanager
    def operation(self, name: str) -> Iterator[None]:
        instruments, began, outcome = self._means.instruments, time.monotonic(), "ok"
        span = begun(self._means.tracer, f"store {name}", self._stages[-1])
        before = _operation.set(span)
        try:
            with ending(span):
                yield
        except BaseException as error:
            outcome = kind_of(error)
            raise
        finally:
            _operation.reset(before)
            instruments.operations.record(time.monotonic() - began, {"operation": name})
            if name == "commit":
                instruments.commits.add(1, {"outcome": outcome})

    def statement(
        self, text: str, names: Callable[[], Mapping[str, str]]
    ) -> contextlib.AbstractContextManager[None]:
        name = names().get(text, "other")
        within = _operation.get() or self._stages[-1]
        return ending(begun(self._means.tracer, name, within, {"db.query.summary": name}))

    def asked(self, kind: str) -> Asked:
        return self._means.passes.question(kind, self._stages[-1])

    def spent(self, cost: ModelCost) -> None:
        self._cost += cost

    def looked_up(self, cache: str, hits: int, misses: int) -> None:
        lookups = self._means.instruments.lookups
        for result, count in (("hit", hits), ("miss", misses)):
            if count:
                lookups.add(count, {"cache": cache, "result": result})

    def recalled(self, facts: int) -> None:
        self._means.instruments.facts.record(facts)

    def retried(self, what: str) -> None:
        self._means.instruments.retries.add(1, {"what": what})
        self._stages[-1].add_event("retry", {"what": what})

    def ended(self, status: str) -> None:
        code, _, reason = status.partition(" ")
        instruments, cost = self._means.instruments, self._cost
        instruments.active.add(-1, self._rpc)
        instruments.requests.add(1, {**self._rpc, "status": code, "reason": reason})
        instruments.duration.record(time.monotonic() - self._began, self._rpc)
        counts = {
            "read": cost.tokens_read,
            "generated": cost.tokens_generated,
            "drafted": cost.tokens_drafted,
            "accepted": cost.tokens_accepted,
        }
        for kind, tokens in counts.items():
            if tokens:
                instruments.tokens.add(tokens, {"kind": kind})
                self._span.set_attribute(f"kgt.tokens.{kind}", tokens)
        self._span.set_attribute("rpc.response.status_code", code)
        if reason:
            self._span.set_attribute("error.type", reason)
        if code in _FAILURES:
            self._span.set_status(Status(StatusCode.ERROR, status))
        self._span.end()

    def ids(self) -> Mapping[str, str]:
        context = self._span.get_span_context()
        ids = {"request_id": self._request_id}
        if context.is_valid:
            ids["trace_id"] = format_trace_id(context.trace_id)
            ids["span_id"] = format_span_id(context.span_id)
        return ids


class PartWatch(Unwatched):
    """Watches what is done here for a call of another process: its questions to the model."""

    def __init__(self, passes: Passes, headers: Mapping[str, str]) -> None:
        self._passes = passes
        self._caller = get_current_span(TRACE_CONTEXT.extract(headers))

    def asked(self, kind: str) -> Asked:
        return self._passes.question(kind, self._caller)
