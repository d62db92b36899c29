"""A check finds what the log does not make, and goes on past damage."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.graph.edit import Change, Edit, OverlayBuilder
from server.stores.sqlite.check import check_folder, counts_in
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore
from server.tuning.ports import Page, StoreCounts
from testbed.bases import BaseTriple, build_base
from tests.conformance.graph_store import CARROTS, MEAT, SOFA, VOCABULARY, add, added, remove, t


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    build_base(tmp_path, [BaseTriple(MEAT)], VOCABULARY)
    store = SqliteStore(tmp_path, VOCABULARY)
    await add(store, "ann", CARROTS)
    await add(store, "ann", SOFA)
    yield store
    await store.close()


def damage(store: SqliteStore, statement: str) -> None:
    with (
        contextlib.closing(sqlite3.connect(store.folder / OVERLAYS_FILE)) as connection,
        connection,
    ):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM overlay", "the overlay is not what the log makes"),
        ("UPDATE overlay SET stamp_revision = 7", "the overlay is not what the log makes"),
        (
            "DELETE FROM touches WHERE revision = 1",
            "the index of changes is not what the log makes",
        ),
        ("UPDATE users SET revision = 5", "the log ends at revision 2"),
        ("DELETE FROM edits WHERE revision = 1", "the log goes from revision 0 to 2"),
    ],
)
async def test_a_check_finds_what_the_log_does_not_make(
    tmp_path: Path, damage: str, found: str
) -> None:
    build_base(tmp_path, [BaseTriple(MEAT)], VOCABULARY)
    store = SqliteStore(tmp_path, VOCABULARY)
    await add(store, "ann", CARROTS)
    await remove(store, "ann", MEAT)
    assert await store.check() == []
    with sqlite3.connect(tmp_path / OVERLAYS_FILE) as connection:
        connection.execute(damage)
    assert any(found in problem for problem in await store.check())
    await store.close()


async def test_a_check_goes_on_past_what_it_cannot_read(store: SqliteStore) -> None:
    for user in ("bad", "other", "well"):
        for n in range(3):
            await add(store, user, t("dog", "HasA", f"{user} {n}"))
    damage(store, "UPDATE edits SET body = '{' WHERE user = 'bad' AND revision IN (1, 3)")
    damage(store, "DELETE FROM overlay WHERE user = 'other' AND tail = 'other 1'")
    listed = {e.revision: e.id for e in await store.history("bad")}
    assert await store.check() == [
        f"a user at revision 3: the record of edit {listed[1]} (revision 1) cannot be read",
        f"a user at revision 3: the record of edit {listed[3]} (revision 3) cannot be read",
        "a user at revision 3: the overlay is not what the log makes",
    ]


async def test_a_check_names_the_edit_that_does_not_fit(store: SqliteStore) -> None:
    second = (await store.edits("ann", Page(1), 2)).items[0]
    assert isinstance(second, Edit)
    damage(store, "DELETE FROM overlay WHERE tail = 'carrots'")
    damage(
        store,
        """UPDATE edits SET body = replace(body, '"before":null', '"before":["added",1,0]')
           WHERE revision = 2""",
    )
    expected = (
        f"a user at revision 2: edit {second.id} (revision 2)"
        " does not start from the overlay before it"
    )
    assert expected in await store.check()


async def test_what_an_edit_relied_on_twice_is_no_fault(store: SqliteStore) -> None:
    made = (await store.edits("ann", Page(1), 2)).items[0]
    assert isinstance(made, Edit)
    edit = Edit(
        "relying",
        3,
        made.kind,
        3,
        (Change(t("Luna", "IsA", "Cat"), None, added(3)),),
        relied_on=(
            t("luna", "IsA", "CAT"),
            t("DOG", "Desires", "Carrots"),
            t("dog", "Desires", "carrots"),
        ),
    )
    await store.commit("ann", await store.snapshot("ann"), [edit], None)
    assert await store.check() == []


async def test_a_check_holds_no_transaction_while_it_looks_into_a_user(store: SqliteStore) -> None:
    for n in range(3):
        await add(store, f"user {n}", CARROTS)
    apply, erased = OverlayBuilder.apply, []

    def erasing(self: OverlayBuilder, edit: Edit) -> None:
        with contextlib.closing(
            sqlite3.connect(store.folder / OVERLAYS_FILE, timeout=0)
        ) as connection:
            erased.append(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        apply(self, edit)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(OverlayBuilder, "apply", erasing)
        assert await store.check() == []
    assert erased == [0] * 5, "the log could be emptied each time"


async def test_a_store_that_cannot_be_opened_is_checked_as_files(store: SqliteStore) -> None:
    await store.close()
    overlays = store.folder / OVERLAYS_FILE
    overlays.write_bytes(b"this is a letter, not a database" * 50)
    problems, counts = check_folder(store.folder)
    assert len(problems) == 1
    assert "damaged or not a store" in problems[0]
    assert counts == StoreCounts(concepts=2, triples=1)


async def test_counts_are_those_of_both_files(store: SqliteStore, tmp_path: Path) -> None:
    assert await store.counts() == StoreCounts(concepts=2, triples=1, users=1, edits=2)
    assert counts_in(store.folder) == await store.counts()
    assert counts_in(tmp_path / "nowhere") == StoreCounts()
    assert check_folder(tmp_path / "nowhere") == (
        [f"{tmp_path / 'nowhere'} is not a folder (KGT_DATA)"],
        StoreCounts(),
    )
