"""Who gets the embedded store's threads, and when the store says that it serves."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.errors import DataLoss, StoreBusy, UnreadableRecord
from server.stores.sqlite import store as sqlite
from server.stores.sqlite.session import Session
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore
from server.stores.sqlite.threads import MOST_OF_A_USER, READERS, Threads
from server.tuning.ports import Page
from tests.conformance.graph_store import BROKEN_BODY, CARROTS, SOFA, VOCABULARY, add


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path, VOCABULARY)
    yield store
    await store.close()


# Fairness


async def test_one_users_reads_leave_readers_for_others() -> None:
    threads, gate = Threads(), threading.Event()
    begun = threading.Semaphore(0)

    def block() -> None:
        begun.release()
        gate.wait(60)

    heavy = [asyncio.create_task(threads.read("ann", block)) for _ in range(READERS * 3)]
    for _ in range(MOST_OF_A_USER):
        await asyncio.to_thread(begun.acquire)
    assert await threads.read("bob", lambda: "read") == "read"
    assert not begun.acquire(blocking=False), "no more of ann's has begun"
    gate.set()
    await asyncio.gather(*heavy)
    assert threads._places._users == {}, "nothing is kept of users who do not read"
    threads.close()


async def test_a_caller_who_leaves_does_not_free_the_thread_that_works_for_it() -> None:
    threads, gate = Threads(), threading.Event()
    begun = threading.Semaphore(0)

    def block() -> None:
        begun.release()
        gate.wait(60)

    for _ in range(READERS):
        heavy = asyncio.create_task(threads.read("ann", block))
        await asyncio.sleep(0)
        if begun.acquire(timeout=0.0 if _ >= MOST_OF_A_USER else 60.0):
            assert _ < MOST_OF_A_USER
        heavy.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await heavy
    assert await threads.read("bob", lambda: "read") == "read"
    gate.set()
    assert await threads.read("ann", lambda: "read") == "read", "the places come back"
    threads.close()


# No job leaves anything open


async def test_no_reader_keeps_a_moment_after_a_record_that_it_could_not_read(
    store: SqliteStore,
) -> None:
    made = [await add(store, "ann", CARROTS), await add(store, "ann", SOFA)]
    with (
        contextlib.closing(sqlite3.connect(store.folder / OVERLAYS_FILE)) as connection,
        connection,
    ):
        connection.execute("UPDATE edits SET body = ? WHERE revision = 1", (BROKEN_BODY,))
    errors: list[UnreadableRecord] = []  # kept, with their tracebacks and all that hangs on them
    for _ in range(READERS * 2):
        try:
            await store.edit("ann", made[0].id)
        except UnreadableRecord as error:
            errors.append(error)
        await store.edits("ann", Page(9), 2)
    assert len(errors) == READERS * 2
    assert not any(s._db.in_transaction for s in sessions(store))
    for n in range(READERS * 2):
        await add(store, "bob", SOFA)
        seen = await asyncio.gather(*(store.snapshot("bob") for _ in range(READERS * 2)))
        assert {snapshot.revision for snapshot in seen} == {n + 1}
    assert (await store.erase("eve")).edits == 0, "nothing keeps the log from being emptied"


async def test_work_that_fails_in_the_middle_ends_its_transaction(store: SqliteStore) -> None:
    def fail(session: Session) -> None:
        session._db.execute("BEGIN")
        session._db.execute("SELECT 1 FROM users").fetchone()
        raise ValueError("in the middle")

    for _ in range(READERS):
        with pytest.raises(ValueError, match="in the middle"):
            await store._read("ann", fail)
    assert not any(s._db.in_transaction for s in sessions(store))


def sessions(store: SqliteStore) -> list[Session]:
    found = []
    while not store._sessions.empty():
        found.append(store._sessions.get())
    for session in found:
        store._sessions.put(session)
    return found


# Health


async def test_it_does_not_serve_while_a_write_is_stuck(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = threading.Event(), threading.Event()
    await store.health()

    def stick(_: Session) -> None:
        begun.set()
        gate.wait(60)

    stuck = asyncio.create_task(store._write(stick))
    assert await asyncio.to_thread(begun.wait, 60)
    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "_STUCK_S", 0.0)
        with pytest.raises(StoreBusy, match="under way"):
            await store.health()
    gate.set()
    await stuck
    await store.health()


async def test_a_lock_that_stays_is_a_fault_and_a_short_one_is_not(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_PROBE_WAIT_S", 0.0)
    monkeypatch.setattr(sqlite, "_LEAST_WAIT_S", 0.0)
    other = sqlite3.connect(store.folder / OVERLAYS_FILE, isolation_level=None)
    await add(store, "ann", CARROTS)
    other.execute("BEGIN IMMEDIATE")
    await store.health()
    store._writes_fail = False
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT_S", -1.0)
    with pytest.raises(StoreBusy, match="locked"):
        await store.health()
    other.execute("ROLLBACK")
    await store.health()
    other.close()


async def test_after_a_write_that_failed_health_writes_itself(store: SqliteStore) -> None:
    await store._write(lambda s: s._db.execute("PRAGMA query_only = ON") and None)
    with pytest.raises(StoreBusy, match="cannot be used"):
        await add(store, "ann", CARROTS)
    with pytest.raises(StoreBusy, match="cannot be used"):
        await store.health()
    store._writes_fail = False
    await store._write(lambda s: s._db.execute("PRAGMA query_only = OFF") and None)
    store._writes_fail = True
    await store.health()
    assert not store._writes_fail


@pytest.mark.parametrize("name", [OVERLAYS_FILE, f"{OVERLAYS_FILE}-wal"])
@pytest.mark.parametrize("replaced", [False, True])
async def test_nothing_is_acknowledged_into_a_file_that_is_gone(
    store: SqliteStore, name: str, replaced: bool
) -> None:
    await add(store, "ann", CARROTS)
    path = store.folder / name
    copy = path.read_bytes()
    path.unlink()
    if replaced:
        path.write_bytes(copy)
    for attempt in (store.health(), add(store, "ann", SOFA), store.erase("ann")):
        with pytest.raises(DataLoss, match="deleted or replaced"):
            await attempt
    assert replaced or not path.exists()
