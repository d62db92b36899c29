"""What only the store on Neo4j does: it shows overlays to people, and servers share its graph."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.errors import BaseLoading, Unavailable
from server.graph.concept import Concept
from server.graph.edit import Change
from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Connection, Neo4jLogin
from server.stores.neo4j.store import Neo4jStore
from server.tuning.ports import Page, RequestRecord, Tombstone
from testbed.neo4j.graphs import run
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
from tests.stores.neo4j.looking import rows


async def test_people_see_the_overlay_between_the_concepts(
    store: Neo4jStore, connection: Connection
) -> None:
    await add(store, "ann", CARROTS, t("Luna", "IsA", "cat"))
    await remove(store, "ann", MEAT)
    seen = await rows(
        connection,
        "MATCH (s)-[m:ADDED|DELETED]->(o) RETURN labels(s)[0], type(m), o.text ORDER BY o.text",
    )
    assert seen == [
        ["Concept", "ADDED", "carrots"],
        ["PersonalConcept", "ADDED", "cat"],
        ["Concept", "DELETED", "meat"],
    ]
    await remove(store, "ann", CARROTS)
    left = await rows(connection, "MATCH (p:PersonalConcept) RETURN p.uri ORDER BY p.uri")
    assert left == [["cat"], ["luna"]]


async def test_a_relation_outside_the_list_is_a_custom_edge(
    store: Neo4jStore, connection: Connection
) -> None:
    custom = await rows(connection, "MATCH ()-[r:CUSTOM]->() RETURN r.relation")
    assert custom == [["is the boss of"]]
    boss = t("Ann", "is the boss of", "Bob")
    view = await store.neighborhood("ann", Concept.of("ann"), 9)
    assert [v.triple for v in view] == [boss]
    in_base, _ = (await store.find("ann", [boss]))[boss]
    assert in_base


async def test_a_check_finds_what_the_log_does_not_make(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    await add(store, "ann", CARROTS)
    await remove(store, "ann", MEAT)
    assert await store.check() == []
    await run(login, "MATCH ()-[m:ADDED]->() SET m.revision = 7")
    problems = await store.check()
    assert any("the overlay is not what the log makes" in problem for problem in problems)
    await run(login, "MATCH (e:Edit {revision: 1}) DELETE e")
    assert any("the log goes from revision 0 to 2" in problem for problem in await store.check())
    assert (await store.counts()).edits == 1


async def test_two_servers_share_a_graph_by_revision(store: Neo4jStore, login: Neo4jLogin) -> None:
    two = await Neo4jStore.open(login, VOCABULARY)
    begun = await two.snapshot("ann")
    await add(store, "ann", CARROTS)
    with pytest.raises(Exception, match="expected revision 0"):
        await two.commit("ann", begun, [edit(1, Change(MEAT, None, added(1)))], None)
    assert (await two.neighborhood("ann", DOG, 9)).find(CARROTS) is not None
    await two.close()


async def test_while_a_base_is_loaded_nothing_is_answered(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    begun = await store.snapshot("ann")
    await run(login, "MATCH (g:Graph) SET g.state = 'loading'")
    commit = store.commit("ann", begun, [edit(1, Change(CARROTS, None, added(1)))], None)
    calls = (
        store.snapshot("ann"),
        store.neighborhood("ann", DOG, 9),
        store.look_up("ann", ["dog"]),
        store.health(),
        store.find("ann", [MEAT]),
        store.history("ann"),
        store.personal_facts("ann", Page(9), 0),
        store.response("ann", "r"),
        store.edits("ann", Page(9), 0),
        store.page_neighborhood("ann", DOG, Page(9), 0),
        store.overlay("ann"),
        commit,
        store.erase("ann"),
    )
    results = await asyncio.gather(*calls, return_exceptions=True)
    await run(login, "MATCH (g:Graph) SET g.state = 'ready'")
    assert [type(r) for r in results] == [BaseLoading] * len(calls)
    assert (await store.snapshot("ann")).revision == 0


async def test_a_look_at_the_health_tries_to_write_and_leaves_nothing(store: Neo4jStore) -> None:
    await store.health()

    probes = "MATCH (e:Erasures) WHERE e.bucket IS NULL RETURN count(e)"
    assert await rows(store._connection, probes) == [[0]]
    async with Connection(Neo4jLogin("bolt://127.0.0.1:1", "neo4j", "secret")) as gone:
        with pytest.raises(Unavailable):
            await gone.try_write(cypher.PROBE, 3.0)


async def test_who_writes_while_others_are_buried_keeps_what_they_wrote(
    store: Neo4jStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.commit("ann", await store.snapshot("ann"), [], RequestRecord("r", "hash", b""))
    read = store._connection.read

    async def read_before_ann_writes(*arguments: Any, **options: Any) -> Any:
        found = await read(*arguments, **options)
        monkeypatch.undo()
        await add(store, "ann", CARROTS)
        return found

    monkeypatch.setattr(store._connection, "read", read_before_ann_writes)
    assert await store.bury([Tombstone("of an overlay elsewhere", 7)]) == 0
    assert len(await store.history("ann")) == 1
