"""Who shared a forward pass, and who waited for whom.

A pass that several requests share is a span in the trace of one of them, with links to the
questions of all. A question has a link to each of its passes. The time that it waited is a span of
its own, with links to the passes that ran meanwhile. A question to a model elsewhere has requests
instead of passes, and no links: nothing here knows whom it waited for there.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence

from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    SpanContext,
    SpanKind,
    Tracer,
    set_span_in_context,
)

from server.telemetry.instruments import Instruments
from server.telemetry.requests import Request, away
from server.telemetry.spans import begun, ending
from server.tuning.ports import Asked

_REMEMBERED_PASSES = 32
"""Passes that a question which waited for them links to, the last ones."""
NUMBER = "kgt.pass.number"


class Passes:
    """The forward passes of one model. One thread runs them; questions come from any."""

    def __init__(self, tracer: Tracer, instruments: Instruments) -> None:
        self._tracer = tracer
        self._instruments = instruments
        self._last: deque[tuple[int, SpanContext]] = deque(maxlen=_REMEMBERED_PASSES)
        self._begun = 0
        """The number of the pass that began last."""

    def question(self, kind: str, parent: Span) -> Question:
        """A question of the call whose span is `parent`, which waits from now on."""
        span = begun(self._tracer, f"model {kind}", parent)
        wait = begun(self._tracer, "queue", span)
        return Question(self, kind, span, wait, self._begun)

    @contextlib.contextmanager
    def running(self, number: int, reads: Sequence[tuple[Asked, int]]) -> Iterator[None]:
        """A pass with this number, and the tokens that it reads for each question."""
        started = time.monotonic()
        questions = [(asked, n) for asked, n in reads if isinstance(asked, Question)]
        span = self._span(number, reads, questions)
        for question, tokens in questions:
            question.reads(number, tokens, span)
        self._begun = number
        self._last.append((number, span.get_span_context()))
        try:
            with ending(span):
                yield
        finally:
            self._instruments.passes.record(time.monotonic() - started)
            self._instruments.pass_tokens.record(sum(tokens for _, tokens in reads))
            self._instruments.pass_requests.record(len(reads))

    def _span(
        self,
        number: int,
        reads: Sequence[tuple[Asked, int]],
        questions: Sequence[tuple[Question, int]],
    ) -> Span:
        """The pass's span, in the trace of the first question that is recorded."""
        recorded = [
            (asked.span, tokens) for asked, tokens in questions if asked.span.is_recording()
        ]
        if not recorded:
            return INVALID_SPAN
        attributes = {
            NUMBER: number,
            "kgt.pass.requests": len(reads),
            "kgt.pass.tokens": sum(tokens for _, tokens in reads),
        }
        links = [Link(s.get_span_context(), {"kgt.pass.own_tokens": n}) for s, n in recorded]
        within = set_span_in_context(recorded[0][0])
        return self._tracer.start_span("forward pass", within, SpanKind.INTERNAL, attributes, links)

    @contextlib.contextmanager
    def away(
        self, kind: str, parent: Span, waited_s: float | None, texts: int, tokens: int
    ) -> Iterator[Request]:
        """A request to a model elsewhere. `waited_s` is how long a question waited for its first
        one."""
        if waited_s is not None:
            self._instruments.request_wait.record(waited_s, {"kind": kind})
        with away(self._tracer, self._instruments, kind, parent, texts, tokens) as request:
            yield request

    def waited(self, kind: str, span: Span, since: int, until: int, seconds: float) -> None:
        """A question had its first pass, number `until`. `since` is the last before it came."""
        self._instruments.queue_wait.record(seconds, {"kind": kind})
        for number, context in self._last:
            if since <= number < until and context.is_valid:
                span.add_link(context, {NUMBER: number})
        span.set_attribute("kgt.queue.passes", until - since - 1)


class Question:
    """One question, as the port `Asked` has it. Its span lasts until the caller has the results."""

    def __init__(self, passes: Passes, kind: str, span: Span, wait: Span, since: int) -> None:
        self.span = span
        self._passes = passes
        self._kind = kind
        self._wait: Span | None = wait
        self._since = since
        self._asked = time.monotonic()
        self._read = 0

    def reads(self, number: int, tokens: int, of: Span) -> None:
        """A pass begins that reads `tokens` tokens of it. Called on the model's thread."""
        wait, self._wait = self._wait, None
        if wait is not None:
            seconds = time.monotonic() - self._asked
            self._passes.waited(self._kind, wait, self._since, number, seconds)
            wait.end()
        self._read += tokens
        if of.get_span_context().is_valid:
            self.span.add_link(
                of.get_span_context(), {NUMBER: number, "kgt.pass.own_tokens": tokens}
            )

    @contextlib.contextmanager
    def sent(self, texts: int, tokens: int = 0) -> Iterator[Request]:
        """A request goes out for some of its texts. Called on the event loop."""
        wait, self._wait = self._wait, None
        waited_s = None
        if wait is not None:
            waited_s = time.monotonic() - self._asked
            wait.end()
        with self._passes.away(self._kind, self.span, waited_s, texts, tokens) as request:
            try:
                yield request
            finally:
                self._read += request.tokens

    def ended(self) -> None:
        wait, self._wait = self._wait, None
        if wait is not None:
            wait.end()
        self.span.set_attribute("kgt.tokens_read", self._read)
        self.span.end()
