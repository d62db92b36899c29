"""Slow and abandoned clients do not hold the server: it ends them, and serves others meanwhile.

Each test names the bound that it is about. All of them are bounded in count, and none waits for
longer than gRPC takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from kgt.errors import DeadlineExceeded, ResourceExhausted
from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc
from server.graph.edit import Change, Edit, EditKind
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.rpc.load import Load
from tests.rpc.raw import WAIT_S, failure, stub_of, until
from tests.rpc.running import ENJOY, Running, running

MANY = 24
ALICE = pb.ExportOverlayRequest(user="alice")
STREAMS = 6


async def store_long_history(service: Running, user: str) -> None:
    """Put more into the user's history than fits any buffer between a server and its client."""
    snapshot = await service.store.snapshot(user)
    edits = [
        Edit(
            id=f"long-{n}",
            revision=n,
            kind=EditKind.LEARN,
            time_ms=1_700_000_000_000,
            changes=(
                Change(Triple.of("dog", "HasA", f"toy {n}"), None, Mark(Origin.ADDED, Stamp(n, 0))),
            ),
            message="x" * 1_000_000,
        )
        for n in range(1, 13)
    ]
    await service.store.commit(user, snapshot, edits, None)


@contextlib.asynccontextmanager
async def silent(service: Running, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Connections that are open and on which nothing is sent."""
    host, _, port = service.address.rpartition(":")
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(count)]
    try:
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()
        await asyncio.gather(*(w.wait_closed() for _, w in opened), return_exceptions=True)


async def ended(reader: asyncio.StreamReader) -> None:
    """Read what a server says by itself, until it closes the connection."""
    async with asyncio.timeout(WAIT_S):
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass


# Connections


async def test_connections_that_send_nothing_are_closed(tmp_path: Path) -> None:
    async with (
        running(tmp_path, load=Load(handshake_s=0.2)) as service,
        silent(service, MANY) as readers,
    ):
        assert (await service.client.answer(user="bob", query=ENJOY)).text == "meat"
        await asyncio.gather(*map(ended, readers))


async def test_no_more_connections_than_the_limit_are_open(tmp_path: Path) -> None:
    async with running(tmp_path, load=Load(connections=3)) as service:
        async with silent(service, MANY) as readers:
            waiting = {asyncio.ensure_future(ended(reader)) for reader in readers}
            await until(lambda: sum(task.done() for task in waiting) >= MANY - 3)
        await asyncio.gather(*waiting)
        assert (await service.client.answer(user="bob", query=ENJOY)).text == "meat"


async def test_a_connection_that_is_old_is_replaced_and_calls_go_on(tmp_path: Path) -> None:
    young = Load(connection_age_s=0.1, connection_grace_s=5)
    async with (
        running(tmp_path, load=young) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        stub: Any = pb_grpc.PersonalizationServiceStub(channel)
        for _ in range(3):
            await stub.ListFacts(pb.ListFactsRequest(user="alice"), timeout=WAIT_S)
            async with asyncio.timeout(WAIT_S):
                await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)


async def test_a_caller_who_stays_silent_in_a_call_loses_an_old_connection(tmp_path: Path) -> None:
    old = Load(connection_age_s=0.1, connection_grace_s=0.1, idle_s=60)
    async with running(tmp_path, load=old) as service, stub_of(service) as stub:
        call = stub.ImportOverlay(timeout=WAIT_S)
        await call.write(pb.ImportOverlayRequest(user="alice", lines=["{}"]))
        with pytest.raises(grpc.aio.AioRpcError) as lost:
            await call
        assert lost.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (await service.client.answer(user="alice", query=ENJOY)).text == "meat"


# Streams


async def test_a_connections_further_calls_wait_and_others_connections_do_not(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, load=Load(connection_calls=2)) as service:
        service.model.gate.clear()
        # A client that sends too many calls before it has heard of the limit tries them again.
        calls = [
            asyncio.ensure_future(service.client.answer(user=f"u{n}", query=ENJOY))
            for n in range(5)
        ]
        waiting: Any = service.model.gate
        await until(lambda: len(waiting._waiters) == 2)
        async with stub_of(service) as stub:
            await stub.ListFacts(pb.ListFactsRequest(user="bob"), timeout=WAIT_S)
        assert len(waiting._waiters) == 2
        service.model.gate.set()
        assert {answer.text for answer in await asyncio.gather(*calls)} == {"meat"}


async def test_streams_that_nobody_reads_are_ended_and_others_are_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    load = Load(idle_s=0.3, exports=STREAMS, user_exports=STREAMS)
    async with running(tmp_path, load=load) as service:
        await store_long_history(service, "alice")
        calls: list[Any] = []
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(STREAMS):
                stub = await stack.enter_async_context(stub_of(service))
                calls.append(stub.ExportOverlay(ALICE))
                await calls[-1].read()
            assert (await service.client.answer(user="bob", query=ENJOY)).text == "meat"
            stalled = "ExportOverlay DEADLINE_EXCEEDED CALL_STALLED"
            await until(lambda: caplog.text.count(stalled) == STREAMS)


async def test_a_stream_that_is_read_drop_by_drop_is_ended(tmp_path: Path) -> None:
    async with running(tmp_path, load=Load(stream_s=0)) as service, stub_of(service) as stub:
        await service.client.edit_facts(user="alice", add=[("dog", "likes", "carrots")])
        refused = await failure(stub.ExportOverlay(ALICE, timeout=WAIT_S))
    assert isinstance(refused, DeadlineExceeded)
    assert refused.reason == "CALL_STALLED"


async def test_an_import_that_comes_drop_by_drop_is_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(tmp_path, load=Load(import_s=0.2)) as service, stub_of(service) as stub:
        call = stub.ImportOverlay(timeout=WAIT_S)
        drop = pb.ImportOverlayRequest(user="alice", lines=["{}"])
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            for _ in range(100_000):
                await call.write(drop)
                await service.client.list_facts(user="bob")
        # A client that is writing in that moment may be told an error of gRPC's own instead.
        await until(lambda: "ImportOverlay DEADLINE_EXCEEDED" in caplog.text)
        assert (await service.client.list_edits(user="alice")).revision == 0


@pytest.mark.parametrize(
    ("load", "user", "reached"),
    [
        (Load(user_exports=1), "alice", {"user": "user_exports: 1"}),
        (Load(exports=1), "bob", {"server": "exports: 1"}),
    ],
)
async def test_few_histories_are_in_memory_at_once(
    tmp_path: Path, load: Load, user: str, reached: dict[str, str]
) -> None:
    async with running(tmp_path, load=load) as service, stub_of(service) as stub:
        await store_long_history(service, "alice")
        unread = stub.ExportOverlay(ALICE)
        await unread.read()
        refused = await failure(stub.ExportOverlay(pb.ExportOverlayRequest(user=user)))
        assert isinstance(refused, ResourceExhausted)
        assert (refused.reason, refused.quotas) == ("EXPORTS_BUSY", reached)
        assert refused.retry_after_s
