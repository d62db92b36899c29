"""A request to a model elsewhere, as traces and metrics show it."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.trace import NoOpTracerProvider

from server.errors import ModelUnreachable
from server.telemetry.sight import OpenTelemetrySight
from server.tuning.watching import UNASKED
from tests.telemetry.seeing import Seen, attributes_of, context_of

CALLERS = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}


def test_only_the_first_request_of_a_question_ends_its_wait(seen: Seen) -> None:
    watched = seen.sight.call("Answer", ()).asked("score")
    for texts in (3, 2):
        with watched.sent(texts, tokens=10) as sent:
            sent.read(5)
    watched.ended()
    assert [attributes_of(span)["kgt.request.texts"] for span in seen.named("model request")] == [
        3,
        2,
    ]
    assert attributes_of(seen.one("model score"))["kgt.tokens_read"] == 30
    assert seen.one("queue")
    assert seen.value("kgt_model_request_wait_seconds_count", {"kind": "score"}) == 1
    assert seen.value("kgt_model_queue_wait_seconds_count", {"kind": "score"}) is None


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ModelUnreachable("HTTP 503"), "MODEL_UNREACHABLE"),
        (ValueError("what a user wrote"), "ValueError"),
        (asyncio.CancelledError(), "left"),
    ],
)
def test_a_request_that_fails_says_why_and_no_more(
    error: BaseException, outcome: str, seen: Seen
) -> None:
    watched = seen.sight.call("Answer", ()).asked("score")
    with pytest.raises(type(error)), watched.sent(1):
        raise error
    watched.ended()
    ended = {"kind": "score", "outcome": outcome}
    assert seen.value("kgt_model_request_duration_seconds_count", ended) == 1
    assert seen.value("kgt_model_requests_active", {"kind": "score"}) == 0
    assert "wrote" not in seen.one("model request").to_json()
    assert seen.one("model request").status.is_unset == (outcome == "left")


def test_what_a_replica_does_is_in_the_trace_of_the_call_that_asked_it(seen: Seen) -> None:
    watched = seen.sight.call("Answer", CALLERS.items()).asked("score")
    with watched.sent(1) as sent:
        there = Seen()
        there.sight.continued(sent.headers).asked("score").ended()
    asked, away = there.one("model score"), seen.one("model request")
    assert asked.parent is not None
    assert asked.parent.span_id == context_of(away).span_id
    assert f"{context_of(asked).trace_id:032x}" == "ab" * 16
    there.sight.close()


def test_without_traces_nothing_is_handed_on() -> None:
    sight = OpenTelemetrySight(NoOpTracerProvider(), MeterProvider(shutdown_on_exit=False))
    watched = sight.call("Answer", CALLERS.items()).asked("score")
    for asked in (watched, UNASKED):
        with asked.sent(1) as sent:
            assert not sent.headers
