"""What is seen of a model on another server, and what that server is told of it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from server.errors import ModelUnreachable
from server.lm.loading import LoadedModel
from server.lm.remote import remote_model
from server.lm.remote.loading import RemoteChoice
from server.tuning.ports import Branch
from server.tuning.watching import call_watch
from tests.conformance.language_model import FACTS, RETRIEVAL, whole
from tests.lm.remote.peer import Peer
from tests.lm.remote.test_remote_model import DOG, remote
from tests.telemetry.seeing import Seen, attributes_of, context_of


async def test_a_question_has_its_wait_and_its_requests_with_their_size_and_what_went_wrong(
    peer: Peer, choice: RemoteChoice, loaded_keys: LoadedModel, seen: Seen
) -> None:
    async with remote(choice, loaded_keys, seen) as model:
        call_watch.set(seen.sight.call("Answer", ()))
        peer.manners.retry_after_s, peer.manners.failures = 0, [503, "drop"]
        cost = (await model.score([RETRIEVAL, *FACTS])).cost
        text = await whole(model, DOG)
        call_watch.get().ended("OK")
        assert seen.value("kgt_model_requests_waiting") == 0
    assert text
    scored, generated = seen.named("model request")
    assert seen.path(scored) == ["Answer", "model score", "model request"]
    assert seen.path(generated) == ["Answer", "model generate", "model request"]
    assert [seen.path(span)[1] for span in seen.named("queue")] == ["model score", "model generate"]
    assert attributes_of(scored) == {
        "kgt.request.texts": 9,
        "kgt.tokens_read": cost.tokens_read,
        "kgt.request.retries": 2,
    }
    assert attributes_of(seen.one("model score"))["kgt.tokens_read"] == cost.tokens_read
    assert seen.value("kgt_retries_total", {"what": "request"}) == 2
    for kind in ("score", "generate"):
        done = {"kind": kind, "outcome": "ok"}
        assert seen.value("kgt_model_request_duration_seconds_count", done) == 1
        assert seen.value("kgt_model_request_wait_seconds_count", {"kind": kind}) == 1
        assert seen.value("kgt_model_requests_active", {"kind": kind}) == 0
    assert seen.value("kgt_model_request_texts_sum", {"kind": "score"}) == 9
    assert seen.value("kgt_model_request_tokens_sum", {"kind": "score"}) == cost.tokens_read


async def test_waiting_for_a_turn_is_seen_apart_from_being_away(
    peer: Peer,
    choice: RemoteChoice,
    loaded_keys: LoadedModel,
    seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote_model, "IN_FLIGHT", 2)
    async with remote(choice, loaded_keys, seen) as model:
        peer.manners.gate = threading.Event()
        call_watch.set(seen.sight.call("Answer", ()))
        calls = [
            asyncio.create_task(model.score([Branch(f"dog {number}", (" likes",))]))
            for number in range(5)
        ]
        away = {"kind": "score"}
        while seen.value("kgt_model_requests_active", away) != 2:
            await asyncio.wait(calls, timeout=0.01)
        assert seen.value("kgt_model_requests_waiting") == 3
        assert len(seen.named("queue")) == 2
        peer.manners.gate.set()
        await asyncio.gather(*calls)
        assert len(seen.named("queue")) == len(seen.named("model request")) == 5


async def test_the_server_is_told_the_trace_and_nothing_else(
    peer: Peer, choice: RemoteChoice, loaded_keys: LoadedModel, seen: Seen
) -> None:
    given = {
        "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01",
        "tracestate": "caller=alice",
        "baggage": "user=alice",
    }
    async with remote(choice, loaded_keys, seen) as model:
        await model.score([RETRIEVAL])
        unwatched = peer.headers[-1]
        call_watch.set(seen.sight.call("Answer", given.items()))
        await model.score([RETRIEVAL])
        await whole(model, DOG)
    assert "traceparent" not in unwatched
    for sent, span in zip(peer.headers[-2:], seen.named("model request"), strict=True):
        own = context_of(span)
        assert sent["traceparent"] == f"00-{'ab' * 16}-{own.span_id:016x}-01"
        assert sent.keys() - unwatched.keys() == {"traceparent"}


async def test_a_generation_that_is_left_and_a_refused_request_are_outcomes(
    peer: Peer, choice: RemoteChoice, loaded_keys: LoadedModel, seen: Seen
) -> None:
    async with remote(choice, loaded_keys, seen) as model:
        call_watch.set(seen.sight.call("Answer", ()))
        pieces = model.generate(DOG)
        await anext(pieces)
        await pieces.aclose()  # type: ignore[attr-defined]
        peer.manners.key = "another"
        with pytest.raises(ModelUnreachable):
            await model.score([RETRIEVAL])
    ended = "kgt_model_request_duration_seconds_count"
    assert seen.value(ended, {"kind": "generate", "outcome": "left"}) == 1
    assert seen.value(ended, {"kind": "score", "outcome": "RequestRefused"}) == 1
    assert "enjoy" not in "".join(span.to_json() for span in seen.spans)
