"""Files from before KEYS_VERSION 2: overlays are brought up to date, bases are read as they are."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from server.graph.codec import edit_to_json
from server.graph.concept import Concept
from server.graph.edit import Edit, OverlayBuilder
from server.graph.triple import Triple
from server.stores.sqlite import rows, sql
from server.stores.sqlite.check import OVERLAYS_FILE
from server.stores.sqlite.store import SqliteStore
from server.tuning.export_format import export_lines, parse_export
from server.tuning.ports import Page
from server.tuning.subject.choice import find_subject
from testbed.bases import BaseTriple, build_base
from tests.conformance.graph_store import VOCABULARY, remove, t, tails
from tests.graph.old_keys import logs, old, old_log

CURLY, STRAIGHT = old("O\u2019Hara", "likes", "rhubarb"), old("O'Hara", "likes", "rhubarb")
V1 = Path(__file__).parent / "data" / "overlays_v1.sql"


def write_old(folder: Path, logs_of: dict[str, Sequence[Edit]]) -> None:
    """An overlays' file of version 1, as that version wrote it."""
    folder.mkdir(exist_ok=True)
    with sqlite3.connect(folder / OVERLAYS_FILE) as connection:
        connection.executescript(sql.OVERLAY_SCHEMA + sql.OVERLAY_INDEXES_1)
        connection.execute(sql.PUT_META, ("schema_version", "1"))
        for user, log in logs_of.items():
            overlay = OverlayBuilder()
            for edit in log:
                overlay.apply(edit)
                body = (
                    user,
                    edit.revision,
                    edit.id,
                    edit.time_ms,
                    edit.reverts,
                    None,
                    None,
                    None,
                    edit_to_json(edit),
                )
                connection.execute(sql.INSERT_EDIT, body)
                connection.executemany(
                    sql.INSERT_TOUCH, [(user, *row) for row in rows.touches(edit)]
                )
            for triple, mark in overlay.overlay().marks.items():
                connection.execute(
                    sql.PUT_MARK, (user, *rows.columns(triple), *rows.mark_columns(mark))
                )
            connection.execute(sql.PUT_USER, (user, f"overlay of {user}", len(log)))
    connection.close()


def old_export(log: Sequence[Edit]) -> list[str]:
    """An export as that version wrote it: without the version of its keys."""
    lines = list(export_lines(log, {}))
    header = json.loads(lines[0])
    del header["keys"]
    return _signed([json.dumps(header, sort_keys=True), *lines[1:-1]])


def _signed(lines: Sequence[str]) -> list[str]:
    digest = hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
    return [*lines, json.dumps({"edits": len(lines) - 1, "sha256": digest})]


def now(triple: Triple) -> Triple:
    return Triple.of(triple.head.text, triple.relation, triple.tail.text)


@given(logs.filter(bool))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_old_log_is_sound_afterwards_and_an_import_of_its_export_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, log: list[Edit]
) -> None:
    folder = tmp_path_factory.mktemp("old")
    write_old(folder, {"ann": log})
    store = SqliteStore(folder, VOCABULARY)
    try:
        assert await store.check() == []
        overlay = await store.overlay("ann")
        history = await store.history("ann")
    finally:
        await store.close()
    kept = OverlayBuilder()
    for edit in log:
        kept.apply(edit)
    assert set(overlay.marks) == {now(triple) for triple in kept.overlay().marks}
    assert parse_export(old_export(log), VOCABULARY).overlay.marks == overlay.marks
    assert parse_export(list(export_lines(history, {})), VOCABULARY).overlay.marks == overlay.marks


async def test_a_fact_is_found_by_any_spelling_of_its_subject(tmp_path: Path) -> None:
    write_old(
        tmp_path,
        {"ann": old_log([[(CURLY, True)]]), "bob": old_log([[(old("dog", "likes", "tea"), True)]])},
    )
    store = SqliteStore(tmp_path, VOCABULARY)
    for text in ("O'Hara", "O\u2019Hara"):
        assert tails(await store.neighborhood("ann", Concept.of(text), 9, None), "likes") == [
            "rhubarb"
        ]
    assert (
        await find_subject(store, "ann", "What does O'Hara like?")
    ).match.concept.key == "o'hara"
    assert len((await store.overlay("bob")).marks) == 1
    await store.close()


async def test_users_whose_keys_do_not_change_keep_every_byte(tmp_path: Path) -> None:
    log = old_log(
        [[(old("Zo\u00eb", "likes", "caf\u00e9"), True)], [(old("dog", "likes", "tea"), True)]]
    )
    write_old(tmp_path, {"ann": log})
    await SqliteStore(tmp_path, VOCABULARY).close()
    with sqlite3.connect(tmp_path / OVERLAYS_FILE) as connection:
        bodies = [
            body for (body,) in connection.execute("SELECT body FROM edits ORDER BY revision")
        ]
    connection.close()
    assert bodies == [edit_to_json(edit) for edit in log]


async def test_an_unreadable_edit_costs_that_edit_alone(tmp_path: Path) -> None:
    log = old_log(
        [[(CURLY, True)], [(old("O\u2019Hara", "likes", "tea"), True)], [(STRAIGHT, True)]]
    )
    write_old(tmp_path, {"ann": log})
    with sqlite3.connect(tmp_path / OVERLAYS_FILE) as connection:
        connection.execute("UPDATE edits SET body = '{}' WHERE revision = 2")
    connection.close()
    store = SqliteStore(tmp_path, VOCABULARY)
    assert len(await store.check()) == 1
    assert sorted(
        tails(await store.neighborhood("ann", Concept.of("O'Hara"), 9, None), "likes")
    ) == ["rhubarb", "tea"]
    assert len((await store.edits("ann", Page(9), 3)).items) == 3
    await store.close()


async def test_a_symmetric_triple_whose_ends_change_places_is_one_still(tmp_path: Path) -> None:
    """By the old keys "oz" came before "o\u2019hara". By today's keys "o'hara" comes first."""
    write_old(tmp_path, {"ann": old_log([[(old("oz", "Antonym", "O\u2019Hara"), True)]])})
    store = SqliteStore(tmp_path, VOCABULARY)
    assert await store.check() == []
    await remove(store, "ann", t("O'Hara", "Antonym", "oz"))
    assert not (await store.overlay("ann")).marks
    await store.close()


async def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / OVERLAYS_FILE) as connection:
        connection.executescript(V1.read_text(encoding="utf-8"))
    connection.close()
    store = SqliteStore(tmp_path, VOCABULARY)
    assert [problem for problem in await store.check() if "unreadable" not in problem] == []
    hara = await store.neighborhood("ann", Concept.of("O'Hara"), 9, None)
    assert sorted(tails(hara, "likes")) == ["rhubarb", "tea"]
    zora = await store.neighborhood("ann", Concept.of("Zora"), 9, None)
    assert tails(zora, "likes") == ["tulips"]
    await store.close()


# Bases


OLD_BASE = [
    old("O\u2019Hara", "AtLocation", "well\u2010being"),
    old("oz", "Antonym", "O\u2019Hara"),
    old("\u2764\ufe0f", "IsA", "heart"),
    old("dog", "Desires", "rock \u2019n\u2019 roll"),
]


@pytest.fixture
def old_base(tmp_path: Path) -> Path:
    """A base that was loaded with the old keys. Its other columns are as today."""
    build_base(tmp_path, [BaseTriple(triple) for triple in OLD_BASE], VOCABULARY)
    return tmp_path


async def test_concepts_of_an_old_base_are_found_by_the_keys_of_today(old_base: Path) -> None:
    store = SqliteStore(old_base, VOCABULARY)
    found = await store.look_up(
        "ann", ["o'hara", "well-being", "\u2764", "rock 'n' roll", "dog", "cat's"], None
    )
    assert sorted(found) == sorted(["o'hara", "well-being", "\u2764", "rock 'n' roll", "dog"])
    assert all(entry.in_base and entry.concept.key == key for key, entry in found.items())
    view = await store.neighborhood("ann", Concept.of("O'Hara"), 9, None)
    assert tails(view, "AtLocation") == ["well\u2010being"]
    assert tails(view, "Antonym") == ["oz"]
    await store.close()


@pytest.mark.parametrize(
    "triple",
    [
        t("O'Hara", "AtLocation", "well-being"),
        t("O'Hara", "Antonym", "oz"),
        t("oz", "Antonym", "O\u2019Hara"),
        t("dog", "Desires", "rock 'n' roll"),
    ],
)
async def test_a_fact_of_an_old_base_can_be_removed_by_the_keys_of_today(
    old_base: Path, triple: Triple
) -> None:
    store = SqliteStore(old_base, VOCABULARY)
    assert (await store.find("ann", [triple]))[triple][0]
    await remove(store, "ann", triple)
    assert tails(await store.neighborhood("ann", triple.head, 9, None), triple.relation) == []
    assert (await store.find("bob", [triple]))[triple] == (True, None)
    assert await store.check() == []
    await store.close()
