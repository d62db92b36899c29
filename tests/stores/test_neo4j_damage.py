"""A Neo4j with damaged records, stuck readers and held locks: each costs its own user, and that for
a bounded time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.errors import DataLoss, KgtError, Unavailable, UnknownPageToken, UnreadableRecord
from server.graph.codec import edit_to_json
from server.graph.concept import Concept
from server.graph.edit import Change, Edit, EditKind
from server.graph.triple import Triple
from server.stores.neo4j import cypher
from server.stores.neo4j.base import prepare_graph
from server.stores.neo4j.connection import (
    CONNECTIONS,
    CONNECTIONS_A_USER,
    Connection,
    Neo4jLogin,
    Shares,
)
from server.stores.neo4j.store import Neo4jStore
from server.stores.rules.erasures import erasure_bucket
from server.stores.rules.records import readable
from server.tuning.deadline import call_deadline
from server.tuning.ports import Page, RequestRecord
from testbed.bases import BaseTriple
from testbed.neo4j import Database
from tests.conformance.graph_store import (
    BONES,
    BROKEN_BODY,
    CARROTS,
    DOG,
    MEAT,
    SOFA,
    VOCABULARY,
    add,
    added,
    edit,
    remove,
    t,
)  # fmt: skip
from tests.neo4j.graphs import fill, forget_users, run

BASE = [BaseTriple(MEAT, 4.0), BaseTriple(BONES, 3.0), BaseTriple(t("hot", "Antonym", "cold"))]
LOCK = "MATCH (u:User {id: $user}) SET u.locked = true"
IN_USE = "SHOW TRANSACTIONS YIELD currentQuery, metaData WHERE NOT currentQuery STARTS WITH 'SHOW' RETURN count(*) AS n"


@pytest.fixture
def login(neo4j_database: Database) -> Neo4jLogin:
    return neo4j_database.login


@pytest.fixture
async def store(login: Neo4jLogin, tmp_path: Path) -> AsyncIterator[Neo4jStore]:
    await fill(login, BASE, VOCABULARY, tmp_path)
    await forget_users(login)
    opened = await Neo4jStore.open(login, VOCABULARY)
    yield opened
    await opened.close()


async def transactions(store: Neo4jStore) -> int:
    """How many transactions are open in the database, besides the one that asks."""

    async def work(tx: Any) -> int:
        return int((await (await tx.run(IN_USE)).single())["n"])

    return await store._connection.read(work)


def sessions(store: Neo4jStore) -> int:
    """How many connections of the store's pool are in use."""
    pool = store._connection._driver._pool
    return sum(pool.in_use_connection_count(address) for address in pool.connections)


# Records


async def test_after_a_record_that_cannot_be_read_no_session_is_in_use(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    made = [await add(store, "ann", t("dog", "HasA", f"idea {n}")) for n in range(3)]
    await run(
        login, "MATCH (e:Edit {user: 'ann', revision: 2}) SET e.body = $body", body=BROKEN_BODY
    )
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
        store.neighborhood("ann", DOG, 9), store.personal_facts("ann", Page(9), 1), store.find("ann", [CARROTS]),
        store.overlay("ann"), store.page_neighborhood("ann", DOG, Page(9), 1),
    ):  # fmt: skip
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
    await store.commit(
        "ann", await store.snapshot("ann"), [edit(1, Change(SOFA, None, added(1)))], record
    )
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


async def test_a_check_names_each_unreadable_edit_and_goes_on(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    for user in ("ann", "bob", "carol"):
        for n in range(3):
            await add(store, user, t("dog", "HasA", f"{user} {n}"))
    await run(
        login,
        "MATCH (e:Edit) WHERE e.user = 'ann' AND e.revision IN [1, 3] SET e.body = $body",
        body=BROKEN_BODY,
    )
    await run(login, "MATCH ()-[m:ADDED {user: 'carol', revision: 2}]->() DELETE m")
    problems = await store.check()
    assert [p for p in problems if "cannot be read" in p] == problems[:2]
    assert "revision 1)" in problems[0]
    assert "revision 3)" in problems[1]
    assert problems[2:] == ["a user at revision 3: the overlay is not what the log makes"]
    assert not any(name in " ".join(problems) for name in ("bob", "carol", "dog", "idea"))


async def test_a_check_has_no_false_alarm_for_what_an_edit_relied_on(store: Neo4jStore) -> None:
    relied = (t("Dog", "Desires", "CARROTS"), CARROTS, SOFA)
    made = Edit("e-1", 1, EditKind.IMPORT, 1, (Change(CARROTS, None, added(1)),), relied_on=relied)
    await store.commit("ann", await store.snapshot("ann"), [made], None)
    assert await store.check() == []


@pytest.mark.parametrize("cursor", ["x", "1.x.y", "1.٣.1.HasA", "-1", "1e3", "9" * 400])
async def test_a_forged_cursor_is_unknown_or_a_place(store: Neo4jStore, cursor: str) -> None:
    await add(store, "ann", CARROTS)
    for call in (
        store.edits("ann", Page(9, cursor), 1),
        store.page_neighborhood("ann", DOG, Page(9, cursor), 1),
    ):
        try:
            await call
        except KgtError as error:
            assert isinstance(error, UnknownPageToken)
    await store.personal_facts("ann", Page(9, cursor), 1)


# Time


async def test_a_cancelled_call_leaves_no_transaction_open(store: Neo4jStore) -> None:
    await add(store, "ann", CARROTS)
    async with store._connection._session() as holder, await holder.begin_transaction() as held:
        await held.run(LOCK, user="ann")
        waiting = [
            asyncio.ensure_future(add(store, "ann", t("dog", "HasA", f"idea {n}")))
            for n in range(3)
        ]
        reading = [asyncio.ensure_future(store.neighborhood("ann", DOG, 9)) for _ in range(9)]
        await asyncio.gather(*reading)
        for call in waiting:
            call.cancel()
        assert {type(e) for e in await asyncio.gather(*waiting, return_exceptions=True)} == {
            asyncio.CancelledError
        }
        assert sessions(store) == 1, "the holder's"
        await held.rollback()
    for _ in range(
        200
    ):  # the database ends them by itself when it sees that their connections are gone
        if not (left := await transactions(store)):
            break
    assert left == 0


async def test_who_holds_a_lock_delays_nobody_else_and_an_erase_gives_up(store: Neo4jStore) -> None:
    await add(store, "ann", CARROTS)
    async with store._connection._session() as holder, await holder.begin_transaction() as held:
        await held.run(LOCK, user="ann")
        token = call_deadline.set(time.monotonic() + 1.0)
        try:
            with pytest.raises(Unavailable):
                await store.erase("ann")
        finally:
            call_deadline.reset(token)
        await add(store, "bob", CARROTS)
        assert (await store.snapshot("ann")).revision == 1, "readers wait for no lock"
        await held.rollback()
    assert (await store.erase("ann")).edits == 1


async def test_one_user_takes_at_most_half_of_the_connections() -> None:
    assert CONNECTIONS_A_USER * 2 <= CONNECTIONS
    shares = Shares(2)
    inside, release = 0, asyncio.Event()

    async def read(user: str) -> None:
        nonlocal inside
        async with shares.of(user):
            inside += 1
            await release.wait()

    readers = [asyncio.ensure_future(read("ann")) for _ in range(9)]
    await asyncio.wait(readers, timeout=0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert inside == 2
    other = asyncio.ensure_future(read("bob"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert inside == 3
    readers[8].cancel()
    release.set()
    await asyncio.gather(other, *readers, return_exceptions=True)
    assert inside == 9
    assert shares._gates == {}, "nobody is remembered"


async def test_a_look_at_the_health_tries_to_write_and_leaves_nothing(store: Neo4jStore) -> None:
    await store.health()

    async def count(tx: Any) -> int:
        return int(
            (
                await (
                    await tx.run("MATCH (e:Erasures) WHERE e.bucket IS NULL RETURN count(e) AS n")
                ).single()
            )["n"]
        )

    assert await store._connection.read(count) == 0
    async with Connection(Neo4jLogin("bolt://127.0.0.1:1", "neo4j", "secret")) as gone:
        with pytest.raises(Unavailable):
            await gone.try_write(cypher.PROBE, 3.0)


# Cost


async def test_a_page_costs_the_same_in_a_large_overlay(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    costs = []
    for size in (1_000, 9_000):
        await grow(store, size)
        # A plan made while the graph was empty stays for ten seconds; a scan looked as cheap as a
        # seek to it.
        await run(login, "CALL db.prepareForReplanning(60)")
        costs.append(await page_hits(store))
    print(f"db hits of pages at 1,000 and at 10,000 facts: {costs}")
    small, large = costs
    assert all(large[name] <= small[name] * 1.1 + 10 for name in small), costs
    await forget(store)


async def grow(store: Neo4jStore, count: int) -> None:
    """Add so many facts at one concept, in one edit."""
    snapshot = await store.snapshot("ann")
    revision = snapshot.revision + 1
    triples = [t("dog", "HasA", f"idea {revision} {n}") for n in range(count)]
    changes = tuple(Change(triple, None, added(revision, n)) for n, triple in enumerate(triples))
    await store.commit("ann", snapshot, [edit(revision, *changes)], None)


async def page_hits(store: Neo4jStore) -> dict[str, int]:
    """The db hits of the statements that pages take, and of a look at 50 triples."""
    who = {"owner": store._at("ann", DOG)["owner"], "bucket": erasure_bucket("ann")}
    triples = [t("dog", "HasA", f"idea 1 {n}") for n in range(50)]
    statements: dict[str, tuple[str, dict[str, Any]]] = {
        "facts": (cypher.FACTS_PAGE, {"before": "~", "count": 51}),
        "facts further on": (cypher.FACTS_PAGE, {"before": f"{1:016d}.{500:016d}", "count": 51}),
        "neighborhood": (
            cypher.MARKS_AT_PAGE,
            {**store._at("ann", DOG), "before": "~", "count": 51},
        ),
        "marks": (cypher.MARKS_ON, {"marked": store._keys("ann", triples)}),
        "in base": (cypher.IN_BASE, {"triples": store._asked(triples)}),
    }

    async def work(tx: Any) -> dict[str, int]:
        hits = {}
        for name, (statement, parameters) in statements.items():
            result = await tx.run("PROFILE " + statement, {**who, **parameters})
            hits[name] = _db_hits((await result.consume()).profile)
        return hits

    await store._connection.read(work)
    return await store._connection.read(work)


def _db_hits(plan: Any) -> int:
    return int(plan["args"].get("DbHits", 0)) + sum(
        _db_hits(child) for child in plan.get("children", [])
    )


async def forget(store: Neo4jStore) -> None:
    async def work(tx: Any) -> None:
        await tx.run("MATCH ()-[m:ADDED]->() DELETE m")

    await store._connection.write(work, 60)


async def test_facts_are_paged_whole_and_once(store: Neo4jStore) -> None:
    await grow(store, 25)
    await remove(store, "ann", MEAT)
    for at in (1, 2):
        seen: list[Triple] = []
        cursor = ""
        while True:
            page = await store.personal_facts("ann", Page(7, cursor), at)
            seen += [fact.triple for fact in page.items]
            if not (cursor := page.next_cursor):
                break
        assert len(seen) == len(set(seen)) == (25 if at == 1 else 26)
        assert seen[-1] == t("dog", "HasA", "idea 1 0")


# A graph of version 1


async def test_a_graph_of_version_1_is_brought_to_this_one(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    record = RequestRecord("r-1", "hash", b"made")
    await store.commit(
        "ann", await store.snapshot("ann"), [edit(1, Change(CARROTS, None, added(1)))], record
    )
    await add(store, "ann", t("Zoe", "IsA", "cat"), t("hot", "Antonym", "freezing"))
    await remove(store, "ann", MEAT)
    history, overlay = await store.history("ann"), await store.overlay("ann")
    await run(login, *TO_VERSION_1)
    opened = await Neo4jStore.open(login, VOCABULARY)
    assert await opened.history("ann") == history
    assert await opened.overlay("ann") == overlay
    assert await opened.check() == []
    assert await opened.response("ann", "r-1") == record
    assert await opened.edit("ann", history[0].id) == history[0]
    assert (await opened.neighborhood("ann", DOG, 9)).find(MEAT) is None
    assert set(await opened.look_up("ann", ["zoe", "cat", "carrots"])) == {"zoe", "cat", "carrots"}
    await add(opened, "ann", SOFA)
    assert (await opened.erase("ann")).edits == 4
    await opened.close()
    async with Connection(login) as connection:
        await prepare_graph(connection)


TO_VERSION_1 = (
    "MATCH (u:User) REMOVE u.owner",
    "MATCH ()-[m:ADDED|DELETED]->() REMOVE m.owner, m.head, m.tail, m.triple, m.age",
    "MATCH (p:PersonalConcept) REMOVE p.owner, p.key",
    "MATCH (e:Edit) REMOVE e.owner, e.key, e.request, e.undoing, e.bytes",
    "MATCH (g:Graph) SET g.schema_version = 1",
)


async def test_concepts_that_became_one_are_one_after_the_upgrade(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    """Under version 1, "O’Hara" and "O'Hara" were two."""
    await add(store, "ann", t("O'Hara", "Desires", "rhubarb"), t("Zo\u200bra", "Desires", "tea"))
    body = edit_to_json(readable((await store.history("ann"))[0])).replace("O'Hara", "O’Hara")
    later = edit(2, Change(t("O'Hara", "Desires", "rhubarb"), None, added(2)))
    await run(login, "MATCH (e:Edit {revision: 1}) SET e.body = $body", body=body)
    await run(login, *TO_VERSION_1)
    old = {"subject": "o’hara", "subject_text": "O’Hara"}
    await run(login, "MATCH ()-[m:ADDED {object: 'rhubarb'}]->() SET m += $old", old=old)
    await run(
        login, "MATCH ()-[m:ADDED {object: 'tea'}]->() SET m.subject = $key", key="zo\u200bra"
    )
    await run(login, SECOND_SPELLING, body=edit_to_json(later), id=later.id, time_ms=later.time_ms)
    opened = await Neo4jStore.open(login, VOCABULARY)
    assert await opened.check() == []
    facts = (await opened.personal_facts("ann", Page(9), 2)).items
    assert [(fact.triple.head.key, fact.mark) for fact in facts] == [
        ("o'hara", added(2)),
        ("zora", added(1, 1)),
    ]
    assert (await opened.neighborhood("ann", Concept.of("Zora"), 9)).count == 1
    await opened.close()


SECOND_SPELLING = """
MATCH (u:User {id: 'ann'}) SET u.revision = 2
CREATE (:Edit {user: 'ann', revision: 2, id: $id, time_ms: $time_ms, body: $body})
CREATE (s:PersonalConcept {user: 'ann', uri: "o'hara", text: "O'Hara"})
CREATE (o:PersonalConcept {user: 'ann', uri: 'rhubarb twice', text: 'rhubarb'})
CREATE (s)-[:ADDED {user: 'ann', subject: "o'hara", relation: 'Desires', object: 'rhubarb', subject_text: "O'Hara",
  object_text: 'rhubarb', revision: 2, position: 0, edit: $id, time_ms: $time_ms}]->(o)
"""


async def test_a_base_loaded_under_older_keys_is_asked_by_those_of_today(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    await run(
        login,
        "MATCH (c:Concept {uri: 'meat'}) SET c.uri = 'o’hara’s meat', c.text = 'O’Hara’s meat'",
    )
    await run(login, "MATCH (c:Concept {uri: 'hot'}) SET c.uri = 'o’hara', c.text = 'O’Hara'")
    hara, meat = Concept.of("O'Hara"), t("dog", "Desires", "O'Hara's meat")
    assert [v.triple for v in await store.neighborhood("ann", hara, 9)] == [
        t("O'Hara", "Antonym", "cold")
    ]
    assert (await store.neighborhood("ann", DOG, 9)).find(meat) is not None
    assert (await store.find("ann", [meat, t("cold", "Antonym", "O'Hara")])).keys() == {
        meat,
        t("cold", "Antonym", "O'Hara"),
    }
    assert all(
        in_base
        for in_base, _ in (await store.find("ann", [meat, t("cold", "Antonym", "O'Hara")])).values()
    )
    found = await store.look_up("ann", ["o'hara", "o'hara's meat"])
    assert [(e.concept.key, e.in_base) for e in found.values()] == [
        ("o'hara", True),
        ("o'hara's meat", True),
    ]
    page = await store.page_neighborhood("ann", hara, Page(9), 0)
    assert [v.triple for v in page.items] == [t("O'Hara", "Antonym", "cold")]
    await remove(store, "ann", meat)
    assert (await store.neighborhood("ann", DOG, 9)).find(meat) is None
    await run(login, "MATCH (g:Graph) SET g.fingerprint = 'changed by hand'")
