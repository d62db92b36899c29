"""All users leave as one file and come into another store: once, resumed, or again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.errors import CopyRefused
from server.keeping.erased import all_tombstones
from server.keeping.everyone import End, UserBlock, parts
from server.keeping.export_all import export_all
from server.keeping.import_all import ERASED, IMPORTED, PRESENT, import_all
from server.stores.rules.records import all_readable
from server.stores.sqlite.store import SqliteStore
from server.tuning.ports import GraphStore, Listing, OverlayOf, Page
from testbed.bases import build_base
from tests.conformance.graph_store import BASE, BONES, CARROTS, MEAT, SOFA, VOCABULARY, add, remove
from tests.stores.sqlite.test_conformance import TestSqliteStore as Damaging

FINGERPRINTS = {"base_graph": "b"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store with ann's two edits and one of each of bob and 犬."""
    build_base(tmp_path / "from", BASE, VOCABULARY)
    store = SqliteStore(tmp_path / "from", VOCABULARY)
    await add(store, "ann", CARROTS)
    await remove(store, "ann", MEAT)
    await add(store, "bob", SOFA)
    await add(store, "犬", CARROTS, BONES)
    yield store
    await store.close()


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    build_base(tmp_path / "to", BASE, VOCABULARY)
    other = SqliteStore(tmp_path / "to", VOCABULARY)
    yield other
    await other.close()


async def imported(store: GraphStore, path: Path) -> list[str]:
    """What became of each user in the file."""
    done = [outcome async for outcome in import_all(store, VOCABULARY, path)]
    return [outcome.result or outcome.problem for outcome in done]


async def same_users(one: GraphStore, other: GraphStore) -> bool:
    """Whether all users have the same edits, marks and ids of overlays in both stores."""
    users = (await one.overlays(Page(99))).items
    for user in users:
        assert await one.history(user.user) == await other.history(user.user)
        assert await one.overlay(user.user) == await other.overlay(user.user)
    return set((await other.overlays(Page(99))).items) == set(users)


async def test_all_users_come_to_another_store_as_they_were(
    store: SqliteStore, other: SqliteStore, tmp_path: Path
) -> None:
    end = await export_all(store, tmp_path / "all.jsonl", FINGERPRINTS)
    assert end == End(users=3, skipped=0, erased=0)
    assert await imported(other, tmp_path / "all.jsonl") == [IMPORTED] * 3
    assert await same_users(store, other)
    assert await other.check() == []


async def test_each_block_is_the_users_own_export(store: SqliteStore, tmp_path: Path) -> None:
    await export_all(store, tmp_path / "all.jsonl", FINGERPRINTS)
    blocks = [part for part, _, _ in parts(tmp_path / "all.jsonl") if isinstance(part, UserBlock)]
    assert [block.user for block in blocks] == ["ann", "bob", "犬"]
    header = json.loads(blocks[0].lines[0])
    assert (header["format"], header["fingerprints"]) == ("kgt-overlay", FINGERPRINTS)
    assert len(blocks[0].lines) == 4, "header, two edits, footer"


async def test_a_repetition_changes_nothing_and_brings_what_is_new(
    store: SqliteStore, other: SqliteStore, tmp_path: Path
) -> None:
    await export_all(store, tmp_path / "1.jsonl", FINGERPRINTS)
    await imported(other, tmp_path / "1.jsonl")
    assert await imported(other, tmp_path / "1.jsonl") == [PRESENT] * 3
    await add(store, "bob", BONES)
    await export_all(store, tmp_path / "2.jsonl", FINGERPRINTS)
    assert await imported(other, tmp_path / "2.jsonl") == [PRESENT, IMPORTED, PRESENT]
    assert await same_users(store, other)
    assert await imported(other, tmp_path / "1.jsonl") == [PRESENT] * 3, "it is behind"
    assert await same_users(store, other)


@pytest.mark.parametrize("cut", [1, 40, 300, 900, 1400, -1, -30])
async def test_an_export_goes_on_wherever_it_was_killed(
    store: SqliteStore, tmp_path: Path, cut: int
) -> None:
    await export_all(store, tmp_path / "whole.jsonl", FINGERPRINTS)
    whole = (tmp_path / "whole.jsonl").read_bytes()
    (tmp_path / "all.jsonl.making").write_bytes(whole[:cut])
    await export_all(store, tmp_path / "all.jsonl", FINGERPRINTS)
    assert (tmp_path / "all.jsonl").read_bytes() == whole
    assert not (tmp_path / "all.jsonl.making").exists()


async def test_an_import_goes_on_after_a_part_of_a_user(
    store: SqliteStore, other: SqliteStore, tmp_path: Path
) -> None:
    await export_all(store, tmp_path / "all.jsonl", FINGERPRINTS)
    first, _ = all_readable(await store.history("ann"))
    id_of_ann = (await store.snapshot("ann")).overlay_id
    await other.commit("ann", await other.snapshot("ann"), [first], None, id_of_ann)
    assert await imported(other, tmp_path / "all.jsonl") == [IMPORTED] * 3
    assert await same_users(store, other)


async def test_another_overlay_of_the_same_user_is_left_alone(
    store: SqliteStore, other: SqliteStore, tmp_path: Path
) -> None:
    await export_all(store, tmp_path / "all.jsonl", FINGERPRINTS)
    mine = await add(other, "ann", BONES)
    problem, *rest = await imported(other, tmp_path / "all.jsonl")
    assert "other edits of this user" in problem
    assert rest == [IMPORTED] * 2
    assert await other.history("ann") == [mine]


async def test_an_overlay_that_went_two_ways_is_left_alone(
    store: SqliteStore, other: SqliteStore, tmp_path: Path
) -> None:
    await export_all(store, tmp_path / "1.jsonl", FINGERPRINTS)
    await imported(other, tmp_path / "1.jsonl")
    there = await add(other, "bob", CARROTS)
    await add(store, "bob", BONES)
    await add(store, "bob", CARROTS)
    await export_all(store, tmp_path / "2.jsonl", FINGERPRINTS)
    assert "other edits" in (await imported(other, tmp_path / "2.jsonl"))[1]
    assert (await other.history("bob"))[-1] == there


async def test_who_was_erased_does_not_come_back_with_an_older_file(
    store: SqliteStore, other: SqliteStore, tmp_path: Path
) -> None:
    await export_all(store, tmp_path / "1.jsonl", FINGERPRINTS)
    await imported(other, tmp_path / "1.jsonl")
    await other.erase("bob")
    assert await imported(other, tmp_path / "1.jsonl") == [PRESENT, ERASED, PRESENT]
    await store.erase("ann")
    await export_all(store, tmp_path / "2.jsonl", FINGERPRINTS)
    assert await imported(other, tmp_path / "2.jsonl") == [ERASED, PRESENT]
    assert await other.history("ann") == [], "erased here too: the file brought the tombstone"
    assert len([tombstone async for tombstone in all_tombstones(other)]) == 2


async def test_a_user_erased_during_the_export_is_not_imported(
    store: SqliteStore, other: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlays = store.overlays

    async def erasing_ann(page: Page) -> Listing[OverlayOf]:
        listing = await overlays(page)
        if listing.items[0].user == "bob":
            await store.erase("ann")
            await store.erase("bob")
            await add(store, "bob", BONES)
        return listing

    monkeypatch.setattr(store, "overlays", erasing_ann)
    end = await export_all(store, tmp_path / "all.jsonl", FINGERPRINTS)
    assert end == End(users=3, skipped=0, erased=2)
    assert await imported(other, tmp_path / "all.jsonl") == [ERASED, IMPORTED, IMPORTED]
    assert await other.history("bob") == await store.history("bob"), "what bob began anew"


async def test_a_user_erased_during_the_import_does_not_come_back(
    store: SqliteStore, tmp_path: Path
) -> None:
    await export_all(store, tmp_path / "all.jsonl", FINGERPRINTS)
    came: list[str] = []
    async for outcome in import_all(store, VOCABULARY, tmp_path / "all.jsonl"):
        if not came:
            await store.erase("bob")  # who comes next in the file
        came.append(outcome.result)
    assert came[0] == PRESENT
    assert [one.user for one in (await store.overlays(Page(99))).items] == ["ann", "犬"]


async def test_a_user_who_cannot_be_read_is_left_out_and_named_by_the_edit(
    store: SqliteStore, other: SqliteStore, tmp_path: Path
) -> None:
    damaging = Damaging()
    damaging.folder = store.folder
    await damaging.damage(store, "ann", 1)
    broken = (await store.history("ann"))[0]
    end = await export_all(store, tmp_path / "all.jsonl", FINGERPRINTS)
    assert end == End(users=2, skipped=1, erased=0)
    problem, *rest = await imported(other, tmp_path / "all.jsonl")
    assert broken.id in problem
    assert rest == [IMPORTED] * 2


async def test_a_file_that_is_not_whole_changes_nothing(
    store: SqliteStore, other: SqliteStore, tmp_path: Path
) -> None:
    path = tmp_path / "all.jsonl"
    await export_all(store, path, FINGERPRINTS)
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    for text, told in (
        ("".join(lines[:-1]), "no end"),
        (whole.replace("carrots", "cabbage"), "cut or changed"),
        ("".join([lines[0], *lines[6:]]), "lacks some"),
        (whole + lines[-1], "behind the end"),
        (whole.replace("kgt-users", "kgt-dogs"), "not a file of all users"),
        ("not json\n", "is not JSON"),
    ):
        path.write_text(text)
        with pytest.raises(CopyRefused, match=told):
            await imported(other, path)
    assert (await other.overlays(Page(9))).items == ()


async def test_a_file_that_is_there_is_not_overwritten(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "all.jsonl").write_text("mine")
    with pytest.raises(CopyRefused, match="name a new file"):
        await export_all(store, tmp_path / "all.jsonl", FINGERPRINTS)
    assert (tmp_path / "all.jsonl").read_text() == "mine"
