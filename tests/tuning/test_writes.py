"""How writes are answered: once each, also where they changed nothing, and never cut."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.errors import OverlayErased, RequestIdReused
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.history import Historian
from server.tuning.ports import Erased, Snapshot
from server.tuning.writes import RequestKey, Write, Writer, uncut

VOCABULARY = Vocabulary.built_in()
CARROTS = Triple.of("dog", "Desires", "carrots")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path, VOCABULARY)
    yield store
    await store.close()


def render(edit: Any) -> bytes:
    return f"{edit.revision} {edit.id}".encode()


async def test_a_response_without_an_edit_is_kept(store: SqliteStore) -> None:
    historian = Historian(store, VOCABULARY, Writer(store))
    key = RequestKey("r", "content")

    async def write(add: list[Triple], remove: list[Triple], key: RequestKey | None) -> bytes:
        return await historian.edit_facts("alice", add, remove, None, key, render)

    await write([CARROTS], [], None)
    nothing = await write([CARROTS], [], key)
    await write([], [CARROTS], None)
    assert await write([CARROTS], [], key) == nothing == b"1 "
    assert (await store.snapshot("alice")).revision == 2, "the repetition adds nothing"
    with pytest.raises(RequestIdReused):
        await write([], [CARROTS], RequestKey("r", "other content"))


async def test_a_response_without_an_edit_makes_no_overlay(store: SqliteStore) -> None:
    async def nothing(_: Snapshot) -> Write:
        return Write(b"nothing", ())

    writer = Writer(store)
    before = await store.snapshot("alice")
    assert await writer.run("alice", RequestKey("r", "c"), None, nothing) == b"nothing"
    assert await store.snapshot("alice") == before
    with pytest.raises(RequestIdReused):
        await writer.run("alice", RequestKey("r", "d"), None, nothing)


async def test_an_erase_waits_for_the_users_writes_and_is_made_once(store: SqliteStore) -> None:
    writer = Writer(store)
    historian = Historian(store, VOCABULARY, writer)
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Snapshot) -> Write:
        entered.set()
        await go_on.wait()
        return Write(b"written", ())

    await historian.edit_facts("alice", [CARROTS], [], None, None, render)
    writing = asyncio.ensure_future(writer.run("alice", RequestKey("w", "c"), None, slow))
    await entered.wait()
    erasing = asyncio.ensure_future(writer.erase("alice", "r"))
    await asyncio.sleep(0)
    assert (await store.snapshot("alice")).revision == 1
    go_on.set()
    assert await writing == b"written"
    first = await erasing
    assert (first.edits, first.added_triples, first.stored_responses) == (1, 1, 1)
    await historian.edit_facts("alice", [CARROTS], [], None, None, render)
    assert await writer.erase("alice", "r") == first
    assert (await store.snapshot("alice")).revision == 1, "what came after the first erase is there"
    assert (await writer.erase("alice", "other")).edits == 1
    assert await writer.erase("bob", "r") == Erased()


async def test_what_fails_after_its_caller_left_is_not_reported_by_the_loop() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def failing() -> None:
        entered.set()
        await go_on.wait()
        raise OverlayErased

    for leave_twice in (False, True):
        entered.clear()
        go_on.clear()
        call = asyncio.ensure_future(uncut(failing()))
        await entered.wait()
        call.cancel()
        await asyncio.sleep(0)
        if leave_twice:
            call.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
    assert reported == []


async def test_work_is_done_to_its_end_before_a_cancellation_arrives() -> None:
    entered, go_on, done = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        entered.set()
        await go_on.wait()
        done.append(True)

    call = asyncio.ensure_future(uncut(work()))
    await entered.wait()
    call.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert done == [True]
