"""Damage in the embedded store's rows is reported where it is, and nowhere else."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.errors import DataLoss, UnreadableRecord
from server.graph.edit import UnreadableEdit
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore
from server.tuning.ports import Page, RequestRecord
from tests.conformance.graph_store import CARROTS, DOG, SOFA, VOCABULARY, add

GOOD = '{"changes":[],"id":"ID","kind":"facts","revision":1,"time_ms":1}'
BODIES = [
    "",
    "null",
    "[]",
    "{",
    "not JSON",
    "x'ff41'",
    "'{\"id\":\"' || CAST(x'ff' AS TEXT) || '\"}'",
    json.dumps({**json.loads(GOOD), "id": "other"}),
    json.dumps({**json.loads(GOOD), "revision": 2}),
    json.dumps({**json.loads(GOOD), "kind": "nothing"}),
    GOOD.replace('"revision":1', '"revision":' + "9" * 5000),
    GOOD.replace('"time_ms":1', '"time_ms":1e400'),
    GOOD.replace('"changes":[]', '"changes":' + "[" * 100_000 + "]" * 100_000),
    GOOD.replace(
        '"changes":[]', '"changes":[{"triple":["a","b","\\ud800"],"before":null,"after":null}]'
    ),
    GOOD.replace(
        '"changes":[]', '"changes":[{"triple":["a","b","c"],"before":null,"after":["base",1,0]}]'
    ),
]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path, VOCABULARY)
    await add(store, "ann", CARROTS)
    await add(store, "ann", SOFA)
    yield store
    await store.close()


def damage(store: SqliteStore, statement: str, *arguments: object) -> None:
    with (
        contextlib.closing(sqlite3.connect(store.folder / OVERLAYS_FILE)) as connection,
        connection,
    ):
        connection.execute(statement, arguments)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_a_damaged_body_is_one_unreadable_edit(store: SqliteStore, body: str) -> None:
    second, first = (await store.edits("ann", Page(9), 2)).items
    if body.startswith(("x'", "'{")):
        damage(store, f"UPDATE edits SET body = {body} WHERE revision = 1")
    else:
        damage(store, "UPDATE edits SET body = ? WHERE revision = 1", body.replace("ID", first.id))
    listed = (await store.edits("ann", Page(9), 2)).items
    assert listed == (second, UnreadableEdit(first.id, 1, first.time_ms))
    with pytest.raises(UnreadableRecord) as raised:
        await store.edit("ann", first.id)
    assert (raised.value.edit_id, raised.value.revision) == (first.id, 1)
    assert len((await store.personal_facts("ann", Page(9), 2)).items) == 2, (
        "what is kept of its effects can be read"
    )
    (problem,) = await store.check()
    assert (
        problem
        == f"a user at revision 2: the record of edit {first.id} (revision 1) cannot be read"
    )


@pytest.mark.parametrize(
    "change",
    [
        "id = CAST(x'ff' AS TEXT)",
        "id = x'00ff'",
        "time_ms = 'yesterday'",
        "time_ms = -5",
        "reverts = x'ff'",
    ],
)
async def test_a_damaged_column_is_not_the_callers_fault(store: SqliteStore, change: str) -> None:
    damage(store, f"UPDATE edits SET {change} WHERE revision = 1")
    assert len((await store.edits("ann", Page(9), 2)).items) == 2
    assert len(await store.history("ann")) == 2
    with contextlib.suppress(DataLoss):
        await store.reverts("ann")
    with contextlib.suppress(DataLoss):
        await store.personal_facts("ann", Page(9), 2)
    await add(store, "bob", CARROTS)
    assert len(await store.history("bob")) == 1


@pytest.mark.parametrize(
    "change",
    [
        "origin = 'base'",
        "origin = 'nothing'",
        "origin = x'ff'",
        "head_text = CAST(x'ff' AS TEXT)",
        "tail_text = x'00'",
        "stamp_revision = 'one'",
        "stamp_position = x''",
    ],
)
async def test_a_damaged_mark_is_data_loss_for_what_shows_it(
    store: SqliteStore, change: str
) -> None:
    damage(store, f"UPDATE overlay SET {change} WHERE tail = 'sofa'")
    for read in (
        store.personal_facts("ann", Page(9), 2),
        store.neighborhood("ann", DOG, 9),
        store.page_neighborhood("ann", DOG, Page(9), 2),
        store.overlay("ann"),
        store.find("ann", [SOFA]),
    ):
        with pytest.raises(DataLoss, match="python -m server check"):
            await read
    assert (await store.find("ann", [CARROTS]))[CARROTS][1] is not None
    assert len((await store.personal_facts("ann", Page(9), 1)).items) == 1, (
        "as it was before the damaged one"
    )
    await add(store, "bob", CARROTS)
    assert (await store.neighborhood("bob", DOG, 9)).find(CARROTS) is not None
    assert await store.check() == ["a user at revision 2: the overlay is not what the log makes"]
    assert (await store.erase("ann")).edits == 2


async def test_a_fact_whose_row_is_damaged_names_its_edit(store: SqliteStore) -> None:
    (second, _) = (await store.edits("ann", Page(9), 2)).items
    damage(store, "UPDATE overlay SET tail_text = x'00' WHERE tail = 'sofa'")
    with pytest.raises(UnreadableRecord) as raised:
        await store.personal_facts("ann", Page(9), 2)
    assert (raised.value.edit_id, raised.value.revision) == (second.id, 2)


async def test_a_damaged_response_or_place_is_data_loss(store: SqliteStore) -> None:
    await store.commit(
        "ann", await store.snapshot("ann"), [], RequestRecord("r-1", "hash", b"response")
    )
    damage(store, "UPDATE responses SET response = 7")
    with pytest.raises(DataLoss):
        await store.response("ann", "r-1")
    damage(store, "UPDATE users SET revision = 'many'")
    with pytest.raises(DataLoss):
        await store.snapshot("ann")
    assert (await store.snapshot("bob")).revision == 0
    assert any(
        "cannot be read" in problem or "ends at" in problem for problem in await store.check()
    )
