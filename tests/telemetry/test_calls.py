"""What is seen of a call: its trace, and its metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from kgt.errors import CallError
from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc
from server.rpc.load import Load
from tests.rpc.raw import open_call, refusal, store_large_edit, until
from tests.rpc.running import ENJOY, Running, running
from tests.telemetry.seeing import Seen, attributes_of, context_of

SERVICE = "kgt.v1.PersonalizationService"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
REQUEST_ID = "0f3c1a52-8f5b-4b6e-9d9a-6f8f0a3f7c11"


@pytest.fixture
async def service(tmp_path: Path, seen: Seen) -> AsyncIterator[Running]:
    async with running(tmp_path, sight=seen.sight) as started:
        yield started


async def called(service: Running, request: Any, *metadata: tuple[str, str]) -> Any:
    """The response to a request that is sent with these metadata."""
    name = type(request).__name__.removesuffix("Request")
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = pb_grpc.PersonalizationServiceStub(channel)
        return await getattr(stub, name)(request, metadata=metadata, timeout=20)


async def test_a_call_is_a_span_in_the_callers_trace(service: Running, seen: Seen) -> None:
    request = pb.AnswerRequest(user="alice", query=ENJOY)
    await called(service, request, ("traceparent", f"00-{TRACE}-{PARENT}-01"))
    span = seen.one(f"{SERVICE}/Answer")
    assert span.parent is not None
    assert f"{context_of(span).trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert {f"{context_of(each).trace_id:032x}" for each in seen.spans} == {TRACE}
    attributes = attributes_of(span)
    assert attributes["rpc.method"] == "Answer"
    assert attributes["rpc.response.status_code"] == "OK"


async def test_stages_hold_the_stores_methods_and_these_their_statements(
    service: Running, seen: Seen
) -> None:
    await service.client.answer(user="alice", query=ENJOY)
    root = f"{SERVICE}/Answer"
    paths = [seen.path(span) for span in seen.spans]
    assert [root, "retrieve", "store neighborhood"] in paths
    assert [root, "retrieve", "store snapshot", "GET_USER"] in paths
    assert [root, "generate"] in paths
    statements = {path[3] for path in paths if len(path) == 4}
    assert "other" not in statements


async def test_a_commit_is_counted_and_its_moment_on_disk_is_seen(
    service: Running, seen: Seen
) -> None:
    await service.client.edit_facts(user="alice", add=[("dog", "Desires", "carrots")])
    assert [f"{SERVICE}/EditFacts", "store commit", "COMMIT"] in map(seen.path, seen.spans)
    assert seen.value("kgt_commits_total", {"outcome": "ok"}) == 1
    assert seen.value("kgt_store_duration_seconds_count", {"operation": "commit"}) == 1


async def test_a_write_that_lost_a_race_is_counted_as_done_again(
    service: Running, seen: Seen
) -> None:
    service.model.gate.clear()
    write = asyncio.create_task(
        service.client.personalize(user="alice", query=ENJOY, answer="carrots")
    )
    looked = {"operation": "look_up"}
    await until(lambda: seen.value("kgt_store_duration_seconds_count", looked) is not None)
    await store_large_edit(service, "alice", triples=1, tail_bytes=3)
    service.model.gate.set()
    assert (await write).edit.revision == 2
    assert seen.value("kgt_retries_total", {"what": "write"}) == 1
    assert seen.value("kgt_commits_total", {"outcome": "REVISION_MOVED"}) == 1


async def test_figures_of_a_call(service: Running, seen: Seen) -> None:
    await service.client.personalize(user="alice", query=ENJOY, answer="carrots")
    answered = await service.client.answer(user="alice", query=ENJOY)
    rpc = {"rpc": "Answer"}
    assert seen.value("kgt_requests_total", {**rpc, "status": "OK", "reason": ""}) == 1
    assert seen.value("kgt_requests_active", rpc) == 0
    assert seen.value("kgt_request_duration_seconds_count", rpc) == 1
    stage = {**rpc, "stage": "retrieve"}
    assert seen.value("kgt_stage_duration_seconds_count", stage) == 1
    assert seen.value("kgt_overlay_facts_sum") == 1, "at the Answer; at the Personalize, none"
    generated = attributes_of(seen.one(f"{SERVICE}/Answer"))
    assert generated["kgt.tokens.generated"] == answered.cost.tokens_generated
    assert (seen.value("kgt_model_tokens_total", {"kind": "read"}) or 0) > answered.cost.tokens_read
    assert seen.value("kgt_cache_lookups_total", {"cache": "answers", "result": "hit"})
    assert seen.value("kgt_cache_lookups_total", {"cache": "facts", "result": "miss"})
    assert (seen.value("kgt_facts_memory_bytes") or 0) > 0
    assert (seen.value("kgt_process_memory_bytes") or 0) > 1 << 20


async def test_a_call_that_fails_says_why(service: Running, seen: Seen) -> None:
    with pytest.raises(CallError):
        await service.client.answer(user="alice", query=ENJOY, at_revision=7)
    labels = {"rpc": "Answer", "status": "NOT_FOUND", "reason": "UNKNOWN_REVISION"}
    await until(lambda: seen.value("kgt_requests_total", labels) == 1)  # after the status is sent
    span = seen.one(f"{SERVICE}/Answer")
    assert attributes_of(span)["error.type"] == "UNKNOWN_REVISION"
    assert span.status.is_unset, "the caller's mistake is not the server's failure"
    assert not seen.one("retrieve").status.is_ok
    assert not any(span.events for span in seen.spans), "an exception's event has its message"


@pytest.mark.parametrize(("sent", "is_kept"), [(REQUEST_ID, True), ("my dog is ill", False)])
async def test_only_a_uuid_is_taken_for_a_requests_id(
    sent: str, is_kept: bool, service: Running, seen: Seen
) -> None:
    await called(service, pb.ListFactsRequest(user="alice"), ("x-request-id", sent))
    attributes = attributes_of(seen.one(f"{SERVICE}/ListFacts"))
    assert (attributes["kgt.request_id"] == sent) == is_kept


async def test_what_is_not_a_call_of_the_service_is_not_seen(service: Running, seen: Seen) -> None:
    async with grpc.aio.insecure_channel(service.address) as channel:
        for path in (f"/{SERVICE}/Unknown", "/grpc.health.v1.Health/Unknown"):
            method: Any = channel.unary_unary
            with pytest.raises(grpc.aio.AioRpcError):
                await method(path)(b"", timeout=20)
    await service.store.health()
    assert seen.spans == ()


async def test_a_call_that_grpc_refuses_is_not_under_way(tmp_path: Path, seen: Seen) -> None:
    load = Load(calls=1, probes=0)
    async with (
        running(tmp_path, load=load, sight=seen.sight) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        silent = open_call(channel, "ImportOverlay")
        under_way = {"rpc": "ImportOverlay"}
        await until(lambda: seen.value("kgt_requests_active", under_way) == 1)
        refused = await refusal(lambda: service.client.list_facts(user="alice"))
        assert not refused.quotas, "the boundary would have named its limit"
        silent.cancel()
        await until(lambda: seen.value("kgt_requests_active", under_way) == 0)
        assert not seen.value("kgt_requests_active", {"rpc": "ListFacts"})
