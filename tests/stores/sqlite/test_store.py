"""What only the embedded store does: restarts, locks, full disks, and the swap of a base."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from server.errors import DataLoss, StoreBusy, StoreFull, StoreUnusable
from server.graph.concept import Concept
from server.graph.edit import Change
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore
from testbed.bases import BaseTriple, build_base
from tests.conformance.graph_store import (
    CARROTS,
    DOG,
    MEAT,
    VOCABULARY,
    add,
    added,
    edit,
    remove,
    t,
)


def fill(folder: Path, *triples: BaseTriple) -> None:
    build_base(folder, triples, VOCABULARY)


async def test_in_memory_leaves_nothing_behind() -> None:
    store = SqliteStore(":memory:", VOCABULARY)
    await add(store, "ann", CARROTS)
    assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is not None
    folder = store.folder
    await store.close()
    assert not folder.exists()


async def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, VOCABULARY)
    await add(store, "ann", CARROTS)
    await store.close()
    again = SqliteStore(tmp_path, VOCABULARY)
    assert (await again.neighborhood("ann", DOG, 9)).find(CARROTS) is not None
    await again.close()


async def test_an_absent_base_is_an_empty_graph(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, VOCABULARY)
    assert store.base_fingerprint == ""
    assert (await store.neighborhood("ann", DOG, 9)).count == 0
    await store.close()


async def test_a_new_base_is_seen_at_once_and_overlays_stay(tmp_path: Path) -> None:
    fill(tmp_path, BaseTriple(MEAT, 4.0), BaseTriple(t("dog", "IsA", "pet")))
    store = SqliteStore(tmp_path, VOCABULARY)
    await add(store, "ann", CARROTS)
    await remove(store, "ann", MEAT)
    old = store.base_fingerprint
    fill(tmp_path, BaseTriple(t("dog", "Desires", "bones"), 2.0))
    view = await store.neighborhood("ann", DOG, 9)
    assert [v.triple.tail.text for v in view.slice("Desires").triples] == ["carrots", "bones"]
    assert view.count == 2, "what was removed is gone from the base and counts no more"
    assert (await store.neighborhood("bob", DOG, 9)).count == 1
    assert store.base_fingerprint not in ("", old)
    assert await store.check() == []
    await store.close()


# Damage, locks, full disks


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / OVERLAYS_FILE).write_bytes(b"this is a letter, not a database" * 50)
    with pytest.raises(StoreUnusable, match="damaged or not a store"):
        SqliteStore(tmp_path, VOCABULARY)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="cannot be opened"):
        SqliteStore(tmp_path / "file" / "data", VOCABULARY)


async def test_damage_found_while_serving_is_data_loss(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, VOCABULARY)
    for n in range(40):
        await add(store, "ann", *(t("dog", "HasA", f"{n} {'x' * 400} {m}") for m in range(4)))
    await store.close()
    path = tmp_path / OVERLAYS_FILE
    data = bytearray(path.read_bytes())
    data[4096 * 3 :] = b"\xff" * (len(data) - 4096 * 3)
    path.write_bytes(data)
    broken = SqliteStore(tmp_path, VOCABULARY)
    with pytest.raises(DataLoss, match="python -m server check"):
        await broken.history("ann")
    await broken.close()


async def test_a_store_locked_by_another_process_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.stores.sqlite.store._BUSY_TIMEOUT_S", 0.05)
    store = SqliteStore(tmp_path, VOCABULARY)
    other = sqlite3.connect(tmp_path / OVERLAYS_FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="locked"):
        await add(store, "ann", CARROTS)
    other.execute("ROLLBACK")
    await add(store, "ann", CARROTS)
    assert len(await store.history("ann")) == 1
    other.close()
    await store.close()


async def test_a_full_disk_is_said_and_costs_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, VOCABULARY)
    await add(store, "ann", CARROTS)

    def fill_up(session: object) -> None:
        db = session._db  # type: ignore[attr-defined]
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")

    await store._write(fill_up)  # type: ignore[arg-type]
    with pytest.raises(StoreFull, match="free some room"):
        await add(store, "ann", *(t("dog", "HasA", f"{n} " + "x" * 400) for n in range(50)))
    assert (await store.snapshot("ann")).revision == 1
    assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is not None
    assert await store.check() == []
    await store.close()


async def test_health_says_when_the_file_is_gone_bad(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, VOCABULARY)
    await store.health()
    (tmp_path / BASE_FILE).write_bytes(b"not a base" * 1000)
    with pytest.raises(DataLoss):
        await store.health()
    await store.close()


# Erasing, checking


async def test_an_erase_reaches_the_bytes_on_disk(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, VOCABULARY)
    await add(store, "ann-the-user", t("dog", "Desires", "secret-caviar"))
    await asyncio.gather(*(store.neighborhood("bob", Concept.of("dog"), 9) for _ in range(8)))
    files = [p for p in tmp_path.iterdir() if p.name.startswith(OVERLAYS_FILE)]
    assert any(b"secret-caviar" in p.read_bytes() for p in files)
    await store.erase("ann-the-user")
    for path in tmp_path.iterdir():
        assert b"secret-caviar" not in path.read_bytes()
        assert b"ann-the-user" not in path.read_bytes()
    await store.close()


async def test_two_servers_share_a_store_by_revision(tmp_path: Path) -> None:
    one, two = SqliteStore(tmp_path, VOCABULARY), SqliteStore(tmp_path, VOCABULARY)
    begun = await two.snapshot("ann")
    await add(one, "ann", CARROTS)
    with pytest.raises(Exception, match="expected revision 0"):
        await two.commit("ann", begun, [edit(1, Change(MEAT, None, added(1)))], None)
    assert (await two.neighborhood("ann", DOG, 9)).find(CARROTS) is not None
    await one.close()
    await two.close()
