"""Calls below the client: bytes instead of messages, and streams that a test controls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from kgt.errors import CallError, ResourceExhausted, ServerFailure, from_rpc_error
from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc
from server.graph.edit import Change, Edit, EditKind
from server.graph.triple import Mark, Origin, Stamp, Triple
from tests.rpc.running import Running

END: Any = grpc.aio.EOF  # type: ignore[attr-defined]
METHODS = pb.DESCRIPTOR.services_by_name["PersonalizationService"].methods
RPCS = [method.name for method in METHODS]
WAIT_S = 10
"""Longer than anything here takes. A call that is not answered ends as DEADLINE_EXCEEDED without a
reason."""


async def store_large_edit(service: Running, user: str, triples: int, tail_bytes: int) -> Edit:
    """Put an edit into the user's overlay that is larger than RPCs take today.

    Earlier versions took it.
    """
    snapshot = await service.store.snapshot(user)
    revision = snapshot.revision + 1
    edit = Edit(
        id=f"large-{revision}",
        revision=revision,
        kind=EditKind.IMPORT,
        time_ms=1_700_000_000_000,
        changes=tuple(
            Change(
                Triple.of("dog", "HasA", f"{n} ".ljust(tail_bytes, "x")),
                None,
                Mark(Origin.ADDED, Stamp(revision, n)),
            )
            for n in range(triples)
        ),
    )
    await service.store.commit(user, snapshot, [edit], None)
    return edit


@contextlib.asynccontextmanager
async def stub_at(address: str) -> AsyncIterator[Any]:
    # Its buffers stay as small as they are at first: what a test sends has to be read.
    options = [("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield pb_grpc.PersonalizationServiceStub(channel)


def stub_of(service: Running) -> contextlib.AbstractAsyncContextManager[Any]:
    return stub_at(service.address)


def open_call(channel: grpc.aio.Channel, rpc: str) -> Any:
    """A call of a method by name, with bytes in and out, that sends nothing yet."""
    method: Any = channel.stream_stream
    return method(f"/kgt.v1.PersonalizationService/{rpc}")(timeout=WAIT_S)


async def sent(service: Running, rpc: str, messages: list[bytes]) -> list[bytes]:
    """The responses to the bytes of `messages`, whatever they are. Raises CallError.

    Where a call is refused in the very moment in which a message is written, gRPC's client reports
    an error of its own instead of the refusal. Then all is sent again.
    """
    while True:
        try:
            return await _sent(service, rpc, messages)
        except ServerFailure as error:
            if "Internal error from Core" not in str(error):
                raise


async def _sent(service: Running, rpc: str, messages: list[bytes]) -> list[bytes]:
    async with grpc.aio.insecure_channel(service.address) as channel:
        call = open_call(channel, rpc)
        try:
            for message in messages:
                await call.write(message)
            await call.done_writing()
            return [response async for response in call]
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        except asyncio.InvalidStateError:  # the call ended while its messages were being sent
            raise await failure(call) from None


async def failure(call: Any) -> CallError:
    """What a call ends with."""
    try:
        while await call.read() is not END:
            pass
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)
    raise AssertionError("the call did not fail")


async def refusal(call: Callable[[], Awaitable[object]]) -> ResourceExhausted:
    """Make a call again and again until it is refused, and return the refusal."""
    for _ in range(5000):
        try:
            await call()
        except ResourceExhausted as refused:
            return refused
        except CallError:
            pass
    raise AssertionError("it was never refused")


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until `condition` holds."""
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never happened")
