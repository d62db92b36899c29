"""What callers may do to a server: send bytes, nothing, or too much, or stay silent."""

from __future__ import annotations

import asyncio
import logging
import random
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kgt.errors import (
    CallError,
    DeadlineExceeded,
    InvalidArgument,
    ResourceExhausted,
    ServerFailure,
)
from kgt.v1 import personalization_pb2 as pb
from server.rpc.load import Load
from tests.rpc.raw import RPCS, failure, open_call, sent, store_large_edit, stub_of, until
from tests.rpc.running import ENJOY, Running, running

ENDLESS = b"\x0a\xff\xff\xff\xff\x0f"
NOT_UTF8 = b"\x0a\x02\xff\xfe"
MALFORMED = [ENDLESS, NOT_UTF8, b"\x0a", b"\xff" * 40]

# Bytes


@pytest.mark.parametrize("rpc", RPCS)
async def test_bytes_that_are_no_message_are_refused_without_a_trace(
    service: Running, rpc: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for data in MALFORMED:
        with pytest.raises(InvalidArgument) as refused:
            await sent(service, rpc, [data])
        assert refused.value.reason == "MALFORMED_MESSAGE"
    assert f"{rpc} INVALID_ARGUMENT MALFORMED_MESSAGE" in caplog.text
    assert "Traceback" not in caplog.text
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_a_later_message_of_a_stream_is_decoded_as_strictly(service: Running) -> None:
    first = pb.ImportOverlayRequest(user="alice", lines=["{}"]).SerializeToString()
    with pytest.raises(InvalidArgument) as refused:
        await sent(service, "ImportOverlay", [first, b"\x22\x02\xff\xfe"])
    assert refused.value.reason == "MALFORMED_MESSAGE"


async def test_no_bytes_are_a_defect_of_the_server(
    service: Running, caplog: pytest.LogCaptureFixture
) -> None:
    draw = random.Random(5)
    for _ in range(400):
        data = draw.randbytes(draw.randrange(1, 60))
        try:
            await sent(service, draw.choice(RPCS), [data])
        except ServerFailure as failed:
            raise AssertionError(data) from failed
        except CallError:
            pass
    assert "Traceback" not in caplog.text
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize("rpc", RPCS)
async def test_a_call_without_a_message_is_answered(service: Running, rpc: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await sent(service, rpc, [])
    assert list(refused.value.fields) == ["user"]


async def test_an_unknown_method_is_unimplemented(service: Running) -> None:
    async with grpc.aio.insecure_channel(service.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await open_call(channel, "Nothing").read()
    assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED


# Silence


@pytest.mark.parametrize("rpc", RPCS)
async def test_a_caller_who_sends_nothing_is_not_waited_for(tmp_path: Path, rpc: str) -> None:
    async with (
        running(tmp_path, load=Load(idle_s=0.01)) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        ended = await failure(open_call(channel, rpc))
    assert isinstance(ended, DeadlineExceeded)
    assert ended.reason == "CALL_STALLED"


async def test_an_import_that_stops_or_takes_for_ever_is_ended(tmp_path: Path) -> None:
    for load in (Load(idle_s=0.05), Load(import_s=0.05)):
        async with running(tmp_path, load=load) as service, stub_of(service) as stub:
            call = stub.ImportOverlay(timeout=10)
            await call.write(pb.ImportOverlayRequest(user="alice", lines=["{}"]))
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await call
            assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert "nothing came" in str(ended.value.details())


async def test_a_reader_who_stops_reading_is_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(tmp_path, load=Load(idle_s=0.2)) as service:
        await store_large_edit(service, "alice", 20_000, 490)
        async with stub_of(service) as stub:
            call = stub.ExportOverlay(pb.ExportOverlayRequest(user="alice"))
            await call.read()
            await until(lambda: "ExportOverlay DEADLINE_EXCEEDED CALL_STALLED" in caplog.text)
            assert (await failure(call)).reason == "CALL_STALLED"


# Too many


def waiting(service: Running) -> int:
    """Calls that wait for the model."""
    return len(service.model.gate._waiters)  # type: ignore[attr-defined]


async def test_a_full_server_says_so_at_once_and_still_answers_probes(tmp_path: Path) -> None:
    async with running(tmp_path, load=Load(calls=2)) as service:
        service.model.gate.clear()
        held = [
            asyncio.ensure_future(service.client.answer(user=f"u{n}", query=ENJOY))
            for n in range(2)
        ]
        await until(lambda: waiting(service) == 2)
        with pytest.raises(ResourceExhausted) as refused:
            await service.client.list_facts(user="bob")
        assert refused.value.reason == "SERVER_BUSY"
        assert refused.value.retry_after_s
        async with grpc.aio.insecure_channel(service.address) as channel:
            probe = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=10
            )
        assert probe.status == health_pb2.HealthCheckResponse.SERVING
        service.model.gate.set()
        assert {r.text for r in await asyncio.gather(*held)} == {"meat"}
        await service.client.list_facts(user="bob")


async def test_beyond_the_probes_grpc_refuses_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, load=Load(calls=1, probes=1)) as service:
        service.model.gate.clear()
        held = asyncio.ensure_future(service.client.answer(user="alice", query=ENJOY))
        await until(lambda: waiting(service) == 1)
        async with grpc.aio.insecure_channel(service.address) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest())
            await watch.read()
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await health.Check(health_pb2.HealthCheckRequest(), timeout=10)
            watch.cancel()
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        service.model.gate.set()
        assert (await held).text == "meat"


async def test_large_metadata_is_refused_and_the_server_goes_on(service: Running) -> None:
    async with stub_of(service) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListFacts(
                pb.ListFactsRequest(user="alice"), metadata=[("x", "y" * (64 << 10))], timeout=10
            )
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await stub.ListFacts(pb.ListFactsRequest(user="alice"), timeout=10)


async def test_a_message_larger_than_the_contract_says_is_refused(service: Running) -> None:
    async with stub_of(service) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Answer(pb.AnswerRequest(user="alice", query="x" * (4 << 20)), timeout=10)
    assert cast(Any, refused.value).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
