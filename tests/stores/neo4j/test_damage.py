"""Damaged records: each costs its own user only."""

from __future__ import annotations

import pytest

from server.errors import DataLoss, UnreadableRecord
from server.graph.edit import Change
from server.stores.neo4j.connection import Neo4jLogin
from server.stores.neo4j.store import Neo4jStore
from server.tuning.ports import Page, RequestRecord
from testbed.neo4j.graphs import run
from tests.conformance.graph_store import (
    BROKEN_BODY,
    CARROTS,
    DOG,
    SOFA,
    add,
    added,
    edit,
    t,
)
from tests.stores.neo4j.looking import sessions, transactions


async def test_after_a_record_that_cannot_be_read_no_session_is_in_use(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    made = [await add(store, "ann", t("dog", "HasA", f"idea {n}")) for n in range(3)]
    statement = "MATCH (e:Edit {user: 'ann', revision: 2}) SET e.body = $body"
    await run(login, statement, body=BROKEN_BODY)
    for _ in range(4):
        with pytest.raises(UnreadableRecord, match=made[1].id):
            await store.edit("ann", made[1].id)
        assert sessions(store) == 0
        assert await transactions(store) == 0
    await add(store, "bob", CARROTS)
    assert (await store.neighborhood("bob", DOG, 9)).find(CARROTS) is not None


@pytest.mark.parametrize(
    "damage",
    [
        "MATCH ()-[m:ADDED]->() SET m.subject_text = 7",
        "MATCH ()-[m:ADDED]->() SET m.revision = 'two'",
        "MATCH ()-[m:ADDED]->() REMOVE m.position",
        "MATCH ()-[m:ADDED]->() SET m.relation = ['HasA']",
        "MATCH ()-[m:ADDED]->() SET m.time_ms = 'now'",
        "MATCH ()-[m:ADDED]->() SET m.edit = 5",
    ],
)
async def test_a_damaged_mark_is_data_loss_that_names_its_edit(
    store: Neo4jStore, login: Neo4jLogin, damage: str
) -> None:
    await add(store, "ann", CARROTS)
    await run(login, damage)
    for call in (
        store.neighborhood("ann", DOG, 9),
        store.personal_facts("ann", Page(9), 1),
        store.find("ann", [CARROTS]),
        store.overlay("ann"),
        store.page_neighborhood("ann", DOG, Page(9), 1),
    ):
        with pytest.raises(UnreadableRecord):
            await call
    assert sessions(store) == 0
    assert any("damaged" in problem for problem in await store.check())
    assert (await store.erase("ann")).edits == 1


@pytest.mark.parametrize(
    "damage",
    [
        "SET e.response = 'text'",
        "REMOVE e.response",
        "SET e.content_hash = 7",
        "REMOVE e.request_id",
    ],
)
async def test_a_damaged_response_is_data_loss(
    store: Neo4jStore, login: Neo4jLogin, damage: str
) -> None:
    record = RequestRecord("r-1", "hash", b"made")
    made = edit(1, Change(SOFA, None, added(1)))
    await store.commit("ann", await store.snapshot("ann"), [made], record)
    await run(login, f"MATCH (e:Edit) {damage}")
    with pytest.raises(DataLoss):
        await store.response("ann", "r-1")


@pytest.mark.parametrize(
    "damage", ["e.body = 7", "e.body = 'no json'", "e.bytes = 'many'", "e.time_ms = 'now'"]
)
async def test_a_damaged_edit_can_be_listed_and_erased(
    store: Neo4jStore, login: Neo4jLogin, damage: str
) -> None:
    for n in range(3):
        await add(store, "ann", t("dog", "HasA", f"idea {n}"))
    await run(login, f"MATCH (e:Edit {{revision: 2}}) SET {damage}")
    assert [e.revision for e in (await store.edits("ann", Page(9), 3)).items] == [3, 2, 1]
    assert [e.revision for e in await store.history("ann")] == [1, 2, 3]
    assert (await store.erase("ann")).edits == 3


async def test_a_damaged_user_is_data_loss_and_nobody_else_s(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    await add(store, "ann", CARROTS)
    await add(store, "bob", CARROTS)
    await run(login, "MATCH (u:User {id: 'ann'}) SET u.revision = 'many'")
    for call in (
        store.snapshot("ann"),
        store.neighborhood("ann", DOG, 9),
        store.edits("ann", Page(9), 1),
    ):
        with pytest.raises(DataLoss):
            await call
    assert (await store.snapshot("bob")).revision == 1
    assert len(await store.check()) == 1
