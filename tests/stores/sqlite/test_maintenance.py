"""Erasing from the embedded store: no write waits for it, and nothing of the user is left."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.errors import OverlayErased, StoreBusy
from server.graph.edit import Change
from server.stores.sqlite import maintenance, scrub
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.maintenance import Maintenance
from server.stores.sqlite.scrub import Scrubber, emptied
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore
from server.tuning.ports import KEPT_ERASURES_S, Erased, RequestRecord
from testbed.bases import BaseTriple, build_base
from tests.conformance.graph_store import CARROTS, MEAT, SOFA, VOCABULARY, add, added, edit, t
from tests.stores.sqlite.reader import reading

SECRETS = (b"secret-caviar", b"ann-the-user", b"secret-request", b"secret response")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path, VOCABULARY)
    yield store
    await store.close()


async def fill(store: SqliteStore) -> None:
    await add(store, "ann-the-user", t("dog", "Desires", "secret-caviar"))
    record = RequestRecord("secret-request", "hash", b"secret response")
    await store.commit("ann-the-user", await store.snapshot("ann-the-user"), [], record)


def left(folder: Path) -> list[tuple[str, bytes]]:
    """Which secrets are in which files."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [
        (path.name, secret) for path in files for secret in SECRETS if secret in path.read_bytes()
    ]


async def test_many_users_with_many_edits_are_erased_to_the_last_byte(store: SqliteStore) -> None:
    draw = random.Random(7)
    users, edits, batch = range(24), 200, 20
    turns = [user for user in users for _ in range(edits // batch)]
    draw.shuffle(turns)
    for user in turns:
        name = f"trace-{user:02d}-name"
        snapshot = await store.snapshot(name)
        triples = [
            t(
                f"trace-{user:02d}-{draw.random()} " + "x" * draw.choice((1, 40, 150)),
                "Desires",
                f"trace-{user:02d}-tail",
            )
            for _ in range(batch)
        ]
        made = [
            edit(revision, Change(triple, None, added(revision)))
            for revision, triple in enumerate(triples, start=snapshot.revision + 1)
        ]
        await store.commit(name, snapshot, made, None)
    left_by_rows = 0
    scrubs = Scrubber.scrub

    def counting(self: Scrubber, connection: sqlite3.Connection) -> bool:
        nonlocal left_by_rows
        assert emptied(connection)
        left_by_rows += self._path.read_bytes().count(trace)
        return scrubs(self, connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scrubber, "scrub", counting)
        for user in users:
            trace = b"trace-%02d-" % user
            assert (await store.erase(f"trace-{user:02d}-name")).edits == edits
            for path in store.folder.iterdir():
                assert trace not in path.read_bytes(), path.name
    assert left_by_rows > 0, (
        "SQLite itself left nothing: the test would not notice a scrub that does nothing"
    )
    assert await store.check() == []


async def test_a_file_too_large_to_be_scrubbed_is_made_anew(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrub, "_AMBIGUOUS_FROM", 0)
    await fill(store)
    await add(store, "bob", SOFA)
    assert (await store.erase("ann-the-user")).edits == 1
    assert left(store.folder) == []
    assert (await store.snapshot("bob")).revision == 1
    assert await store.check() == []


async def test_a_scrub_that_was_cut_off_goes_on_in_the_next_process(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrub, "SLICE_PAGES", 2)
    await fill(store)
    slices: list[int] = []
    zero = scrub.zero_gaps

    def cut_off(descriptor: int, first_page: int, pages: int) -> scrub.Scrubbed:
        slices.append(first_page)
        if len(slices) == 3:
            raise OSError(5, "the disk is gone")
        return zero(descriptor, first_page, pages)

    monkeypatch.setattr(scrub, "zero_gaps", cut_off)
    with pytest.raises(StoreBusy):
        await store.erase("ann-the-user")
    await store.close()
    second = SqliteStore(store.folder, VOCABULARY)
    await second._maintenance.after_erase()
    assert slices[:4] == [0, 2, 4, 4]
    assert slices[3:] == sorted(set(slices[3:]))
    await second.close()


async def test_others_write_while_an_erase_waits_for_a_reader_in_another_process(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_PATIENCE_S", 600.0)
    await fill(store)
    async with reading(store.folder / OVERLAYS_FILE):
        erasing = asyncio.create_task(store.erase("ann-the-user"))
        while (await store.snapshot("ann-the-user")).revision:
            pass  # until the rows are gone
        for user in ("bob", "eve"):
            await add(store, user, CARROTS)
            assert (await store.snapshot(user)).revision == 1
        assert not erasing.done()
    assert (await erasing).edits == 1
    assert left(store.folder) == []


async def test_an_erase_that_cannot_empty_the_log_says_so_and_a_repetition_does(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_PATIENCE_S", 0.0)
    await fill(store)
    async with reading(store.folder / OVERLAYS_FILE):
        with pytest.raises(StoreBusy, match=r"is erased.*repeat this request"):
            await store.erase("ann-the-user", "e-1")
        assert (await store.snapshot("ann-the-user")).revision == 0
        await store.health()
    monkeypatch.undo()
    assert await store.erase("ann-the-user", "e-1") == Erased(1, 1, 0, 2, 1)
    assert left(store.folder) == []


async def test_the_log_is_emptied_later_when_the_first_try_failed(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidied = threading.Event()
    tidy = Maintenance._is_tidy

    def watched(self: Maintenance) -> bool:
        done = tidy(self)
        if done:
            tidied.set()
        return done

    monkeypatch.setattr(maintenance, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(maintenance, "RETRY_S", 0.01)
    await fill(store)
    async with reading(store.folder / OVERLAYS_FILE):
        with pytest.raises(StoreBusy):
            await store.erase("ann-the-user")
        monkeypatch.setattr(Maintenance, "_is_tidy", watched)
    assert await asyncio.to_thread(tidied.wait, 60)
    assert left(store.folder) == []


async def test_what_a_killed_server_left_in_the_log_goes_when_the_next_one_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_PATIENCE_S", 0.0)
    first = SqliteStore(tmp_path, VOCABULARY)
    await fill(first)
    async with reading(tmp_path / OVERLAYS_FILE):
        with pytest.raises(StoreBusy):
            await first.erase("ann-the-user")
        first._maintenance.close()
    assert left(tmp_path) != []
    monkeypatch.undo()
    second = SqliteStore(tmp_path, VOCABULARY)
    await second._maintenance.after_erase()
    assert left(tmp_path) == []
    await first.close()
    await second.close()


async def test_erases_that_wait_together_are_answered_together(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[float] = []
    gate = threading.Event()

    def try_once(_: Maintenance, until: float) -> None:
        gate.wait(60)
        tries.append(until)

    users = [f"user {n}" for n in range(20)]
    for user in users:
        await add(store, user, CARROTS)
    monkeypatch.setattr(Maintenance, "_fault", try_once)
    erasing = [asyncio.create_task(store.erase(user)) for user in users]
    while any([(await store.snapshot(user)).revision for user in users]):
        pass
    gate.set()
    assert sum([erased.edits for erased in await asyncio.gather(*erasing)]) == 20
    assert len(tries) < 20


async def test_a_damaged_base_keeps_nobody_from_being_erased(tmp_path: Path) -> None:
    build_base(tmp_path, [BaseTriple(MEAT)], VOCABULARY)
    store = SqliteStore(tmp_path, VOCABULARY)
    await add(store, "ann", SOFA, MEAT)
    (tmp_path / BASE_FILE).write_bytes(b"not a base" * 1000)
    later = edit(2, Change(CARROTS, None, added(2)))
    await store.commit("ann", await store.snapshot("ann"), [later], None)
    erased = await store.erase("ann")
    assert (erased.edits, erased.added_triples, erased.personal_concepts) == (2, 3, 0)
    assert (await store.snapshot("ann")).revision == 0
    await store.close()


async def test_an_erase_id_names_nobody_and_is_forgotten_in_the_end(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store)
    await store.erase("ann-the-user", "secret-request")
    assert left(store.folder) == []
    await add(store, "ann-the-user", SOFA)
    much_later = time.time_ns() + (KEPT_ERASURES_S + 1) * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: much_later)
    assert (await store.erase("ann-the-user", "secret-request")).edits == 1, "a new erase by now"


async def test_a_write_begun_before_an_erase_is_refused_without_edits_too(
    store: SqliteStore,
) -> None:
    await fill(store)
    begun = await store.snapshot("ann-the-user")
    await store.erase("ann-the-user")
    with pytest.raises(OverlayErased):
        await store.commit(
            "ann-the-user", begun, [], RequestRecord("secret-request", "hash", b"secret response")
        )
    assert left(store.folder) == []
