"""Health and reflection: liveness for everyone, the rest for operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from kgt.errors import DeadlineExceeded, InvalidArgument, from_rpc_error
from server.rpc.identity.keys import KeyFile
from server.rpc.identity.tokens import ANY_USER, OPERATOR, TokenCallers, TokenRules
from server.rpc.load import Load
from server.rpc.serving import SERVICE
from testbed.keys import Issuer, key_set, replaced
from tests.rpc.identity.matrix import Metadata, bearer
from tests.rpc.raw import WAIT_S, failure
from tests.rpc.running import running

pytestmark = pytest.mark.asyncio(loop_scope="module")

ISSUER = Issuer()
OTHERS: dict[str, tuple[Metadata, str]] = {
    "nobody": ([], "TOKEN_MISSING"),
    "a user": (bearer(ISSUER.token("alice")), "OPERATORS_ONLY"),
    "a service": (bearer(ISSUER.token("chat", ANY_USER)), "OPERATORS_ONLY"),
}
AN_OPERATOR = bearer(ISSUER.token("ops", OPERATOR))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def channel(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[grpc.aio.Channel]:
    folder: Path = tmp_path_factory.mktemp("probing")
    keys = KeyFile(replaced(folder / "keys", key_set(ISSUER)))
    rules = TokenRules(ISSUER.name, ISSUER.audience, frozenset({"ES256"}), 30.0)
    async with (
        running(folder, callers=TokenCallers(rules, keys)) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        yield channel


async def asked(channel: grpc.aio.Channel, what: str, metadata: Metadata) -> Any:
    """The first response of one of the services around this one."""
    health: Any = health_pb2_grpc.HealthStub(channel)
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    if what == "reflection":
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        return await reflection.ServerReflectionInfo(iter([request]), metadata=metadata).read()
    named = health_pb2.HealthCheckRequest(service="" if what == "liveness" else SERVICE)
    if what == "watch":
        return await health.Watch(named, metadata=metadata).read()
    return await health.Check(named, metadata=metadata)


@pytest.mark.parametrize("who", [*OTHERS, "an operator"])
async def test_everyone_may_ask_whether_the_server_serves(
    channel: grpc.aio.Channel, who: str
) -> None:
    metadata = OTHERS[who][0] if who in OTHERS else AN_OPERATOR
    answered = await asked(channel, "liveness", metadata)
    assert answered.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("what", ["a named service", "watch", "reflection"])
@pytest.mark.parametrize("who", OTHERS)
async def test_details_are_for_operators(channel: grpc.aio.Channel, what: str, who: str) -> None:
    metadata, reason = OTHERS[who]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await asked(channel, what, metadata)
    assert from_rpc_error(refused.value).reason == reason
    assert await asked(channel, what, AN_OPERATOR)


async def test_what_the_health_service_has_not_is_told_to_operators(
    channel: grpc.aio.Channel,
) -> None:
    health: Any = health_pb2_grpc.HealthStub(channel)
    for metadata, code in (
        (AN_OPERATOR, grpc.StatusCode.UNIMPLEMENTED),
        ([], grpc.StatusCode.UNAUTHENTICATED),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await health.List(health_pb2.HealthListRequest(), metadata=metadata)
        assert refused.value.code() is code


def silent(channel: grpc.aio.Channel, method: str) -> Any:
    """A call of the health service that has sent nothing yet."""
    made: Any = channel.stream_stream
    return made(f"/grpc.health.v1.Health/{method}")(timeout=WAIT_S)


@pytest.mark.parametrize("method", ["Check", "Watch"])
async def test_a_caller_who_sends_nothing_is_not_waited_for(tmp_path: Path, method: str) -> None:
    async with (
        running(tmp_path, load=Load(idle_s=0.01)) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        ended = await failure(silent(channel, method))
    assert isinstance(ended, DeadlineExceeded)
    assert ended.reason == "CALL_STALLED"


async def test_what_is_no_message_is_refused(channel: grpc.aio.Channel) -> None:
    for messages in ([], [b"\xff\xff"]):
        call = silent(channel, "Check")
        for message in messages:
            await call.write(message)
        await call.done_writing()
        assert isinstance(await failure(call), InvalidArgument)


async def test_probes_that_are_held_take_no_call_of_the_service_its_place(tmp_path: Path) -> None:
    async with (
        running(tmp_path, load=Load(calls=1, probes=2)) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        health: Any = health_pb2_grpc.HealthStub(channel)
        held = [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
        for watch in held:
            await watch.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked(channel, "liveness", [])
        assert from_rpc_error(refused.value).reason == "SERVER_BUSY"
        await service.client.list_facts(user="alice")
