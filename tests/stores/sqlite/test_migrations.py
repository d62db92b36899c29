"""Overlays' files of an earlier schema version are brought up to date (`data/README.md`)."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from server.errors import StoreUnusable, UnreadableRecord
from server.graph.edit import OverlayBuilder, StopReason, UnreadableEdit
from server.graph.triple import Origin
from server.stores.rules.records import all_readable
from server.stores.sqlite import migrations, sql
from server.stores.sqlite.migrations import prepare_overlays
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore
from server.tuning.ports import Page, RequestRecord
from tests.conformance.graph_store import CARROTS, VOCABULARY, add, t

DATA = Path(__file__).parent / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store as version 1 left it: two users, and one with a record that nothing can read."""
    with contextlib.closing(
        sqlite3.connect(tmp_path / OVERLAYS_FILE, isolation_level=None)
    ) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript((DATA / "overlays_v1.sql").read_text(encoding="utf-8"))
    return tmp_path


async def test_a_store_of_version_1_opens_and_serves(folder: Path) -> None:
    store = SqliteStore(folder, VOCABULARY)
    history = all_readable(await store.history("ann"))
    assert [edit.revision for edit in history] == [1, 2, 3, 4, 5]
    log = OverlayBuilder()
    for edit in history:
        log.apply(edit)
    assert (await store.overlay("ann")).marks == log.overlay().marks
    assert history[4].account is not None
    assert history[4].account.stop_reason is StopReason.OVERTOOK
    assert await store.reverts("ann") == [(history[2].id, history[0].id)]
    assert await store.response("ann", "r-2") == RequestRecord(
        "r-2", "hash of r-2", b"response to r-2"
    )
    assert (await store.personal_facts("bob", Page(9), 2)).items[0].triple == t("犬", "IsA", "動物")
    assert len((await store.personal_facts("ann", Page(9), 2)).items) == 4, "also as it was"
    await add(store, "ann", CARROTS)
    await store.commit(
        "ann", await store.snapshot("ann"), [], RequestRecord("r-9", "hash", b"nothing changed")
    )
    assert (await store.snapshot("ann")).revision == 6
    await store.close()


async def test_a_record_that_version_1_should_not_have_written_fails_alone(folder: Path) -> None:
    store = SqliteStore(folder, VOCABULARY)
    readable, broken = (await store.edits("bad", Page(9), 2)).items
    assert broken == UnreadableEdit("unreadable", 1, 1_790_000_010_000)
    assert readable.revision == 2
    with pytest.raises(UnreadableRecord):
        await store.edit("bad", "unreadable")
    assert [fact.mark.origin for fact in (await store.personal_facts("bad", Page(9), 2)).items] == [
        Origin.ADDED
    ] * 2
    assert await store.check() == [
        "a user at revision 2: the record of edit unreadable (revision 1) cannot be read"
    ]
    assert (await store.erase("bad")).edits == 2
    assert await store.check() == []
    await store.close()


async def test_an_erase_after_a_migration_leaves_nothing_in_any_file(folder: Path) -> None:
    assert b"rhubarb" in (folder / OVERLAYS_FILE).read_bytes()
    store = SqliteStore(folder, VOCABULARY)
    await store.erase("ann")
    for path in folder.rglob("*"):
        for text in ("rhubarb", "O’Hara", "papaya", "r-5", "response to r-2"):
            assert text.encode() not in path.read_bytes(), (path.name, text)
    await store.close()


def test_the_backup_of_a_migration_that_was_killed_goes_too(folder: Path) -> None:
    (folder / f"{OVERLAYS_FILE}.v1.20260101T000000.bak").write_bytes(b"everybody")
    prepare_overlays(folder / OVERLAYS_FILE)
    assert [path.name for path in folder.iterdir()] == [OVERLAYS_FILE]


def test_what_does_not_hold_together_after_a_migration_is_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "INTEGRITY", "SELECT 'row 7 missing from index'")
    with pytest.raises(StoreUnusable, match="row 7 missing"):
        prepare_overlays(folder / OVERLAYS_FILE)
    with contextlib.closing(sqlite3.connect(folder / OVERLAYS_FILE)) as connection:
        assert connection.execute(sql.GET_META, ("schema_version",)).fetchone() == ("1",)
    assert not list(folder.glob("*.bak"))


def test_a_new_store_is_what_a_migrated_one_becomes(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    new = tmp_path_factory.mktemp("new") / OVERLAYS_FILE
    prepare_overlays(new)
    prepare_overlays(folder / OVERLAYS_FILE)

    def schema(path: Path) -> set[tuple[str, str]]:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return set(
                connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
            )

    assert schema(new) == schema(folder / OVERLAYS_FILE)
    assert set(migrations.MIGRATIONS) == set(range(1, sql.OVERLAY_SCHEMA_VERSION))


# Any version


def version_of(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return str(connection.execute(sql.GET_META, ("schema_version",)).fetchone()[0])


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, VOCABULARY)
    await store.close()
    with sqlite3.connect(tmp_path / OVERLAYS_FILE) as connection:
        connection.execute(sql.PUT_META, ("schema_version", "99"))
    with pytest.raises(StoreUnusable, match="schema version 99"):
        SqliteStore(tmp_path, VOCABULARY)


def test_an_older_schema_is_migrated_and_its_backup_removed(tmp_path: Path) -> None:
    path = tmp_path / OVERLAYS_FILE
    prepare_overlays(path, version=1)
    migrations = {
        1: "ALTER TABLE users ADD COLUMN colour TEXT; UPDATE users SET colour = 'blue';",
        2: "CREATE TABLE later (x)",
    }
    prepare_overlays(path, version=3, migrations=migrations)
    assert version_of(path) == "3"
    with sqlite3.connect(path) as connection:
        connection.execute("SELECT colour FROM users")
        connection.execute("SELECT x FROM later")
    assert not list(tmp_path.glob("*.bak")), "nobody who is erased later is left in it"


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / OVERLAYS_FILE
    prepare_overlays(path, version=1)
    with pytest.raises(sqlite3.OperationalError):
        prepare_overlays(
            path, version=2, migrations={1: "CREATE TABLE later (x); SELECT nonsense FROM nowhere"}
        )
    assert version_of(path) == "1"
    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("SELECT x FROM later")
    with pytest.raises(StoreUnusable, match="cannot bring"):
        prepare_overlays(path, version=5, migrations={})
