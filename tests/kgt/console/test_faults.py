"""Errors are pages that say what to do, and never a trace."""

from __future__ import annotations

import logging

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from kgt.console.visit import Visit
from tests.kgt.conftest import Guarded
from tests.kgt.console.person import person
from tests.kgt.scripted_server import AT_ONCE, Script, scripted_server
from tests.rpc.running import FEED

WRITTEN = "what the user wrote"


def test_a_service_that_is_not_there_is_a_page_that_says_how_to_start_it() -> None:
    with person("127.0.0.1:1", "alice") as one:
        text = one.opens("/")
    assert (one.status, one.title) == (503, "The service cannot be reached")
    assert "127.0.0.1:1" in text
    assert "python -m server" in text


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 400, "cannot be used"),
        (grpc.StatusCode.UNAUTHENTICATED, 502, "KGT_TOKEN_FILE"),
        (grpc.StatusCode.PERMISSION_DENIED, 403, "not allowed"),
        (grpc.StatusCode.NOT_FOUND, 404, "Not there"),
        (grpc.StatusCode.ALREADY_EXISTS, 409, "sent before"),
        (grpc.StatusCode.ABORTED, 409, "in the meantime"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 503, "busy"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504, "see your history"),
        (grpc.StatusCode.DATA_LOSS, 500, "python -m server check"),
        (grpc.StatusCode.FAILED_PRECONDITION, 409, "Not possible now"),
        (grpc.StatusCode.INTERNAL, 500, "a defect"),
        (grpc.StatusCode.UNIMPLEMENTED, 500, "a defect"),
    ],
)
def test_each_error_of_the_service_is_a_page_of_its_own(
    code: grpc.StatusCode, status: int, says: str
) -> None:
    script = Script(failures=1, code=code, trailing=(), details="<i>of the server</i>")
    with scripted_server(script) as address, person(address, "alice") as one:
        text = one.opens("/history")
    assert one.status == status
    assert says in text
    assert "<i>" not in one.source


@pytest.mark.parametrize(
    ("code", "reason", "status", "says"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_EXCEEDED", 429, "Too much at once"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "USER_BUSY", 429, "Too much at once"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "EXPORTS_BUSY", 503, "downloads"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLAY_FULL", 409, "no room for more facts"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "HISTORY_FULL", 409, "history is full"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", 503, "The model is busy"),
        (grpc.StatusCode.UNAVAILABLE, "MODEL_UNREACHABLE", 503, "The model cannot be reached"),
        (grpc.StatusCode.UNAVAILABLE, "STORE_UNREACHABLE", 503, "The store cannot be reached"),
        (grpc.StatusCode.UNAVAILABLE, "STORE_FULL", 503, "The store is full"),
    ],
)
def test_an_error_with_a_reason_is_told_by_the_reason(
    code: grpc.StatusCode, reason: str, status: int, says: str
) -> None:
    details = Status(code=code.value[0], message="as it is")
    details.details.add().Pack(ErrorInfo(reason=reason, domain="kgt"))
    trailing = (AT_ONCE, ("grpc-status-details-bin", details.SerializeToString()))
    script = Script(failures=4, code=code, trailing=trailing, details="as it is")
    with scripted_server(script) as address, person(address, "alice") as one:
        text = one.opens("/history")
    assert one.status == status
    assert says in text
    assert "python -m server" not in text


def test_a_console_shows_only_the_user_that_its_token_is_for(guarded: Guarded) -> None:
    with person(guarded.address, "alice", access=guarded.access("alice")) as one:
        one.opens("/")
        assert "my dog is named Rex" in one.sends("/tell", text="My dog is named Rex.", do="tell")
    with person(guarded.address, "alice", access=guarded.access("bob")) as one:
        one.opens("/")
        assert (one.status, one.title) == (403, "This is not allowed")
        assert "Rex" not in one.text
    with person(guarded.address, "alice", access=guarded.access(None)) as one:
        one.opens("/")
        assert (one.status, one.title) == (502, "The service does not know who calls")


def test_a_text_that_is_too_long_names_the_field(service: str) -> None:
    with person(service, "alice") as one:
        one.opens("/ask")
        text = one.sends("/ask", query="word " * 600)
        assert one.status == 400
        assert "query:" in text
        one.opens("/ask")
        one.sends("/ask", query="x" * (1 << 20))
        assert (one.status, one.title) == (413, "That text is too long")


def test_a_page_that_is_not_there_is_said_kindly(service: str) -> None:
    with person(service, "alice") as one:
        for response in (
            one.browser.get("/nothing"),
            one.browser.get("/static/nothing.js"),
            one.browser.get("/erase"),
            one.browser.get("/static/../app.py"),
        ):
            assert response.status_code in (404, 405)
            assert "There is no such page" in response.text


def test_a_defect_is_a_page_without_a_trace_and_logged_without_texts(
    service: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError(WRITTEN)

    with person(service, "alice") as one:
        one.opens("/ask")
        monkeypatch.setattr(Visit, "said", broken)
        with caplog.at_level(logging.ERROR, "kgt.console"):
            text = one.sends("/ask", query=FEED)
    assert (one.status, one.title) == (500, "Something went wrong")
    assert "ZeroDivisionError" not in text
    assert "Traceback" not in text
    assert "ZeroDivisionError" in caplog.text
    assert WRITTEN not in caplog.text
