"""Imports that are coming in: bounded for each user, in all and in time, and read from disk."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kgt.client import AsyncClient
from kgt.errors import InvalidArgument, ResourceExhausted
from kgt.v1 import personalization_pb2 as pb
from server.rpc.errors import ImportsBusy
from server.rpc.load import Load
from server.rpc.spool import Imports, Spool
from tests.rpc.raw import refusal, sent, stub_of
from tests.rpc.running import Running, running

PATIENCE_S = 60.0


async def exported(client: AsyncClient, user: str) -> list[str]:
    return [message.line async for message in client.export_overlay(user=user)]


async def lines_of(service: Running) -> list[str]:
    """An export of two edits."""
    for tail in ("carrots", "naïve 犬 🐶"):
        await service.client.edit_facts(user="alice", add=[("dog", "likes", tail)])
    return await exported(service.client, "alice")


async def imported(
    service: Running, messages: list[pb.ImportOverlayRequest]
) -> pb.ImportOverlayResponse:
    (response,) = await sent(service, "ImportOverlay", [m.SerializeToString() for m in messages])
    return pb.ImportOverlayResponse.FromString(response)


@contextlib.asynccontextmanager
async def half_open(service: Running, user: str) -> AsyncIterator[Any]:
    """An import that has begun and does not go on."""
    async with stub_of(service) as stub:
        call = stub.ImportOverlay()
        await call.write(pb.ImportOverlayRequest(user=user, lines=["{}"]))
        try:
            yield call
        finally:
            call.cancel()


# How many


async def test_a_user_has_few_imports_at_once_and_others_go_on(tmp_path: Path) -> None:
    async with running(tmp_path, load=Load(user_imports=1)) as service:
        lines = await lines_of(service)
        async with half_open(service, "bob"):
            busy = await refusal(lambda: service.client.import_overlay(user="bob", lines=["{}"]))
            assert busy.reason == "IMPORTS_BUSY"
            assert busy.retry_after_s
            assert (
                await service.client.import_overlay(user="carol", lines=lines)
            ).imported_edits == 2
        # The server sees a little later that the caller has left.
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                taken = await service.client.import_overlay(user="bob", lines=lines)
            except ResourceExhausted:
                continue
            assert taken.imported_edits == 2
            return
    raise AssertionError("the place of an import that ended was not given back")


async def test_all_users_together_have_few_imports_at_once(tmp_path: Path) -> None:
    async with (
        running(tmp_path, load=Load(imports=2)) as service,
        half_open(service, "u1"),
        half_open(service, "u2"),
    ):
        busy = await refusal(lambda: service.client.import_overlay(user="bob", lines=["{}"]))
        assert busy.reason == "IMPORTS_BUSY"


# How much


@pytest.mark.parametrize(
    "load",
    [Load(import_lines=3), Load(import_bytes=4000)],
)
async def test_an_import_over_a_limit_is_refused(tmp_path: Path, load: Load) -> None:
    async with running(tmp_path, load=load) as service:
        with pytest.raises(InvalidArgument) as refused:
            await service.client.import_overlay(user="bob", lines=["x" * 1100] * 4)
        assert list(refused.value.fields) == ["lines"]


async def test_messages_without_lines_are_refused_after_the_first(service: Running) -> None:
    lines = await lines_of(service)
    first = pb.ImportOverlayRequest(user="bob")
    rest = pb.ImportOverlayRequest(lines=lines)
    assert (await imported(service, [first, rest])).imported_edits == 2
    with pytest.raises(InvalidArgument) as refused:
        await imported(service, [first, first, rest])
    assert list(refused.value.fields) == ["lines"]


def spools(**load: int) -> tuple[Imports, contextlib.AbstractContextManager[Spool]]:
    imports = Imports(Load(**load))
    return imports, imports.begun("alice")


def test_all_imports_together_are_bounded_and_give_back_what_they_took() -> None:
    imports, begun = spools(imports_bytes=10_000)
    with begun as first:
        first.count(1, 6000)
        with imports.begun("bob") as second, pytest.raises(ImportsBusy):
            second.count(1, 6000)
    with imports.begun("bob") as third:
        third.count(1, 6000)


# What is read


def test_lines_come_back_as_they_were_and_again() -> None:
    _, begun = spools()
    large = ["é" * 700_000, "", "x" * 1_500_000]
    with begun as spool:
        spool.add(["a", "b"], continued=False)
        spool.add(large, continued=False)
        spool.add(["end"], continued=False)
        for _ in range(2):
            assert list(spool) == ["a", "b", *large, "end"]


def test_reading_twice_at_once_reads_both_whole() -> None:
    _, begun = spools()
    with begun as spool:
        spool.add([str(n) for n in range(300_000)], continued=False)

        def numbers(lines: Iterator[str]) -> list[int]:
            return [int(line) for line in lines]

        one, other = iter(spool), iter(spool)
        assert [next(one), next(other), next(one)] == ["0", "0", "1"]
        assert numbers(other)[-1] == numbers(one)[-1] == 299_999


def test_a_line_in_pieces_is_one() -> None:
    _, begun = spools()
    with begun as spool:
        spool.add(["a", "b"], continued=True)
        spool.add(["c"], continued=True)
        spool.add(["d", "e"], continued=False)
        spool.add(["f"], continued=False)
        assert list(spool) == ["a", "bcd", "e", "f"]


async def test_a_byte_order_mark_is_no_text(service: Running) -> None:
    lines = await lines_of(service)
    r = await service.client.import_overlay(user="bob", lines=["\ufeff" + lines[0], *lines[1:]])
    assert r.imported_edits == 2


async def test_how_lines_are_cut_into_messages_does_not_matter(service: Running) -> None:
    lines = await lines_of(service)
    whole = [pb.ImportOverlayRequest(user="bob", request_id="r", lines=lines)]
    single = [pb.ImportOverlayRequest(user="bob", request_id="r", lines=[line]) for line in lines]
    halves = [
        pb.ImportOverlayRequest(user="bob", request_id="r", lines=[half], continued=continued)
        for line in lines
        for half, continued in ((line[:50], True), (line[50:], False))
    ]
    first = await imported(service, whole)
    assert first.imported_edits == 2
    assert await imported(service, single) == first, "the same request, repeated"
    assert await imported(service, halves) == first


async def test_half_an_import_changes_nothing(service: Running) -> None:
    lines = await lines_of(service)
    async with stub_of(service) as stub:
        call = stub.ImportOverlay()
        await call.write(pb.ImportOverlayRequest(user="bob", lines=lines))
        await asyncio.sleep(0)
        call.cancel()
    assert (await service.client.list_edits(user="bob")).revision == 0


async def test_a_refused_import_is_told_while_it_is_being_sent(tmp_path: Path) -> None:
    async with running(tmp_path, load=Load(import_lines=1)) as service, stub_of(service) as stub:
        call = stub.ImportOverlay()
        await call.write(pb.ImportOverlayRequest(user="bob", lines=["{}", "{}"]))
        with pytest.raises(Exception, match="more than"):
            await call
