"""A backup has both files as of one moment, and is taken back without who was erased since."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from server.errors import CopyRefused, StoreBusy
from server.files import sync_file
from server.stores.sqlite import backup, restore, sql
from server.stores.sqlite.backup import MANIFEST_FILE, Manifest, make_backup, read_backup
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.check import check_folder
from server.stores.sqlite.restore import restore_backup
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore
from server.tuning.ports import RequestRecord, StoreCounts, Tombstone
from testbed.bases import BaseTriple, build_base
from tests.conformance.graph_store import (
    BASE,
    BONES,
    BROKEN_BODY,
    CARROTS,
    DOG,
    MEAT,
    SOFA,
    VOCABULARY,
    add,
)
from tests.stores.sqlite.reader import reading


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store in which ann and bob added a triple each. It stays open, as a server's."""
    build_base(tmp_path / "data", BASE, VOCABULARY)
    store = SqliteStore(tmp_path / "data", VOCABULARY)
    await add(store, "ann", CARROTS)
    await add(store, "bob", SOFA)
    yield store
    await store.close()


async def restored(folder: Path, data: Path, *erased: Tombstone) -> SqliteStore:
    await restore_backup(folder, data, erased)
    return SqliteStore(data, VOCABULARY)


# Making one


async def test_a_backup_of_a_store_in_use_holds_both_files(
    store: SqliteStore, tmp_path: Path
) -> None:
    manifest, problems = make_backup(store.folder, tmp_path / "copies" / "one")
    assert problems == []
    assert (manifest.counts.users, manifest.counts.edits) == (2, 2)
    assert manifest.counts.triples == len(BASE)
    assert manifest.base_fingerprint == store.base_fingerprint
    versions = {name: file.schema_version for name, file in manifest.files.items()}
    assert versions == {
        BASE_FILE: sql.BASE_SCHEMA_VERSION,
        OVERLAYS_FILE: sql.OVERLAY_SCHEMA_VERSION,
    }
    assert read_backup(tmp_path / "copies" / "one") == manifest
    names = {path.name for path in (tmp_path / "copies" / "one").iterdir()}
    assert names == {BASE_FILE, OVERLAYS_FILE, MANIFEST_FILE}
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["one"]


async def test_only_its_owner_can_read_a_backup(store: SqliteStore, tmp_path: Path) -> None:
    make_backup(store.folder, tmp_path / "copy")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "copy").iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700


async def test_the_base_is_that_of_the_moment_of_the_overlays(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_overlays = backup._copy_overlays
    copies = []

    def while_a_base_is_loaded(source: Path, target: Path) -> None:
        copy_overlays(source, target)
        copies.append(target)
        if len(copies) == 1:
            build_base(store.folder, [BaseTriple(MEAT)], VOCABULARY)

    monkeypatch.setattr(backup, "_copy_overlays", while_a_base_is_loaded)
    manifest, _ = make_backup(store.folder, tmp_path / "copy")
    assert len(copies) == 2, "the overlays were copied again, next to the new base"
    assert manifest.counts.triples == 1


async def test_a_base_that_never_stays_is_told(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(*_: Path) -> None:
        build_base(store.folder, [BaseTriple(MEAT)], VOCABULARY)

    monkeypatch.setattr(backup, "_copy_overlays", replaced)
    with pytest.raises(StoreBusy, match="being replaced"):
        make_backup(store.folder, tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


async def test_commits_made_meanwhile_are_whole_or_absent(
    store: SqliteStore, tmp_path: Path
) -> None:
    async def writing() -> None:
        for n in range(60):
            await add(store, f"user {n}", CARROTS, BONES)

    writes = asyncio.ensure_future(writing())
    copies: list[tuple[Manifest, list[str]]] = []
    while not writes.done():
        copies.append(
            await asyncio.to_thread(make_backup, store.folder, tmp_path / str(len(copies)))
        )
    await writes
    assert all(problems == [] for _, problems in copies)
    users = [manifest.counts.users for manifest, _ in copies]
    assert users == sorted(users)
    assert all(manifest.counts.users == manifest.counts.edits for manifest, _ in copies)


async def test_what_was_erased_is_in_no_backup(store: SqliteStore, tmp_path: Path) -> None:
    await add(store, "eve-the-user", BONES)
    await store.erase("eve-the-user")
    make_backup(store.folder, tmp_path / "copy")
    assert b"eve-the-user" not in (tmp_path / "copy" / OVERLAYS_FILE).read_bytes()


async def test_a_damaged_record_does_not_prevent_a_backup(
    store: SqliteStore, tmp_path: Path
) -> None:
    with sqlite3.connect(store.folder / OVERLAYS_FILE) as connection:
        connection.execute("UPDATE edits SET body = ? WHERE user = 'ann'", (BROKEN_BODY,))
    _, problems = make_backup(store.folder, tmp_path / "copy")
    assert len(problems) == 1
    assert "cannot be read" in problems[0]
    assert read_backup(tmp_path / "copy").counts.users == 2


async def test_a_folder_that_is_there_is_not_touched(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with pytest.raises(CopyRefused, match="name a new folder"):
        make_backup(store.folder, tmp_path / "copy")
    assert list((tmp_path / "copy").iterdir()) == []


def test_nothing_is_made_of_a_folder_without_a_store(tmp_path: Path) -> None:
    with pytest.raises(CopyRefused, match="holds no store"):
        make_backup(tmp_path, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


async def test_what_a_killed_backup_left_is_used_up(store: SqliteStore, tmp_path: Path) -> None:
    left = tmp_path / "copy.making"
    left.mkdir()
    (left / OVERLAYS_FILE).write_bytes(b"half")
    (left / "something").write_bytes(b"else")
    make_backup(store.folder, tmp_path / "copy")
    assert not left.exists()
    assert not (tmp_path / "copy" / "something").exists()


# Taking one back


async def test_a_backup_comes_back_as_it_was(store: SqliteStore, tmp_path: Path) -> None:
    make_backup(store.folder, tmp_path / "copy")
    await add(store, "ann", BONES)
    back = await restored(tmp_path / "copy", tmp_path / "other")
    assert await back.history("bob") == await store.history("bob")
    assert await back.history("ann") == (await store.history("ann"))[:1]
    assert (await back.neighborhood("ann", DOG, 9)).find(CARROTS) is not None
    assert await back.snapshot("bob") == await store.snapshot("bob")
    assert await back.check() == []
    await back.close()
    assert {p.name for p in (tmp_path / "other").iterdir()} == {BASE_FILE, OVERLAYS_FILE}


async def test_who_was_erased_since_the_backup_is_not_taken_back(
    store: SqliteStore, tmp_path: Path
) -> None:
    kept = RequestRecord("r", "hash", b"what dee was answered")
    await store.commit("dee", await store.snapshot("dee"), [], kept)
    make_backup(store.folder, tmp_path / "copy")
    await store.erase("ann")
    await store.erase("dee")
    await add(store, "ann", BONES)
    await store.close()
    done = await restore_backup(tmp_path / "copy", store.folder, None, replace=True)
    assert done.erased == 1
    back = SqliteStore(store.folder, VOCABULARY)
    assert await back.history("ann") == []
    assert len(await back.history("bob")) == 1
    assert await back.response("dee", "r") is None, "who has no overlay leaves no tombstone"
    await back.close()


async def test_a_list_of_erased_overlays_counts_where_the_newer_store_is_lost(
    store: SqliteStore, tmp_path: Path
) -> None:
    make_backup(store.folder, tmp_path / "copy")
    tombstone = Tombstone((await store.snapshot("ann")).overlay_id, 1)
    back = await restored(tmp_path / "copy", tmp_path / "other", tombstone)
    assert await back.history("ann") == []
    await back.close()
    make_backup(tmp_path / "other", tmp_path / "newer")
    await restore_backup(tmp_path / "copy", tmp_path / "other", None, replace=True)
    again = SqliteStore(tmp_path / "other", VOCABULARY)
    assert await again.history("ann") == [], "the list went along"
    await again.close()


async def test_a_store_is_replaced_only_when_told(store: SqliteStore, tmp_path: Path) -> None:
    make_backup(store.folder, tmp_path / "copy")
    await add(store, "ann", BONES)
    await store.close()
    before = {p.name: p.read_bytes() for p in store.folder.iterdir()}
    with pytest.raises(CopyRefused, match="add --replace"):
        await restore_backup(tmp_path / "copy", store.folder, ())
    assert {p.name: p.read_bytes() for p in store.folder.iterdir()} == before
    await restore_backup(tmp_path / "copy", store.folder, (), replace=True)
    back = SqliteStore(store.folder, VOCABULARY)
    assert (await back.snapshot("ann")).revision == 1
    await back.close()


async def test_a_folder_that_a_server_uses_is_refused(store: SqliteStore, tmp_path: Path) -> None:
    make_backup(store.folder, tmp_path / "copy")
    await store.close()
    async with reading(store.folder / OVERLAYS_FILE):
        with pytest.raises(CopyRefused, match="in use"):
            await restore_backup(tmp_path / "copy", store.folder, (), replace=True)
    await restore_backup(tmp_path / "copy", store.folder, (), replace=True)


OPENED = """
import contextlib, sqlite3, sys
with contextlib.closing(sqlite3.connect(sys.argv[1], timeout=0)) as connection:
    print(connection.execute("SELECT count(*) FROM edits").fetchone()[0])
"""


@pytest.mark.parametrize("where", ["data", "other"])
async def test_nobody_can_open_the_store_before_both_files_are_in_place(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    make_backup(store.folder, tmp_path / "copy")
    await store.close()
    data, tried = tmp_path / where, []

    def while_it_is_synced(path: Path) -> None:
        sync_file(path)
        if path == data:  # a file has just got its name
            command = [sys.executable, "-c", OPENED, str(data / OVERLAYS_FILE)]
            tried.append(subprocess.run(command, capture_output=True, text=True).stderr)

    monkeypatch.setattr(restore, "sync_file", while_it_is_synced)
    await restore_backup(tmp_path / "copy", data, (), replace=True)
    assert len(tried) == 2
    assert all("database is locked" in error for error in tried)
    back = SqliteStore(data, VOCABULARY)
    assert await back.check() == []
    await back.close()


async def test_a_store_that_a_server_begins_meanwhile_is_left_to_it(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_backup(store.folder, tmp_path / "copy")

    async def begun() -> None:
        server = SqliteStore(tmp_path / "other", VOCABULARY)
        await add(server, "ann", BONES)
        await server.close()

    def while_a_server_starts(folder: Path) -> tuple[list[str], StoreCounts]:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, begun()).result()
        return check_folder(folder)

    monkeypatch.setattr(restore, "check_folder", while_a_server_starts)
    with pytest.raises(CopyRefused, match="in use"):
        await restore_backup(tmp_path / "copy", tmp_path / "other", ())
    assert {path.name for path in (tmp_path / "other").iterdir()} == {OVERLAYS_FILE}
    back = SqliteStore(tmp_path / "other", VOCABULARY)
    assert len(await back.history("ann")) == 1
    await back.close()


async def test_a_backup_that_was_changed_is_refused_before_anything_happens(
    store: SqliteStore, tmp_path: Path
) -> None:
    make_backup(store.folder, tmp_path / "copy")
    with (tmp_path / "copy" / OVERLAYS_FILE).open("r+b") as file:
        file.seek(5000)
        file.write(b"x")
    with pytest.raises(CopyRefused, match="not as the manifest says"):
        await restore_backup(tmp_path / "copy", tmp_path / "other", ())
    (tmp_path / "copy" / BASE_FILE).unlink()
    with pytest.raises(CopyRefused):
        read_backup(tmp_path / "copy")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": "other"}, "format version"),
        ({"version": 2}, "update the service"),
        ({"counts": {"cats": 1}}, "not a backup's manifest"),
        ({"files": None}, "not a backup's manifest"),
    ],
)
async def test_a_manifest_of_another_kind_is_refused(
    store: SqliteStore, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    make_backup(store.folder, tmp_path / "copy")
    path = tmp_path / "copy" / MANIFEST_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CopyRefused, match=told):
        read_backup(tmp_path / "copy")


async def test_a_damaged_store_is_replaced_only_with_a_list(
    store: SqliteStore, tmp_path: Path
) -> None:
    make_backup(store.folder, tmp_path / "copy")
    await store.close()
    (store.folder / OVERLAYS_FILE).write_bytes(b"\xff" * 8192)
    with pytest.raises(CopyRefused, match="--erased"):
        await restore_backup(tmp_path / "copy", store.folder, None, replace=True)
    await restore_backup(tmp_path / "copy", store.folder, (), replace=True)
    back = SqliteStore(store.folder, VOCABULARY)
    assert await back.check() == []
    await back.close()
