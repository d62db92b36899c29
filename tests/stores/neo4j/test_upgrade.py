"""Graphs of schema version 1, and bases loaded under older keys."""

from __future__ import annotations

from server.graph.codec import edit_to_json
from server.graph.concept import Concept
from server.graph.edit import Change
from server.stores.neo4j.connection import Connection, Neo4jLogin
from server.stores.neo4j.schema import prepare_graph
from server.stores.neo4j.store import Neo4jStore
from server.stores.rules.records import readable
from server.tuning.ports import Page, RequestRecord
from testbed.neo4j.graphs import run
from tests.conformance.graph_store import (
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
)


async def test_a_graph_of_version_1_is_brought_to_this_one(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    record = RequestRecord("r-1", "hash", b"made")
    made = edit(1, Change(CARROTS, None, added(1)))
    await store.commit("ann", await store.snapshot("ann"), [made], record)
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
CREATE (s)-[:ADDED {
  user: 'ann', subject: "o'hara", relation: 'Desires', object: 'rhubarb', subject_text: "O'Hara",
  object_text: 'rhubarb', revision: 2, position: 0, edit: $id, time_ms: $time_ms}]->(o)
"""


async def test_a_base_loaded_under_older_keys_is_asked_by_those_of_today(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    rename = "MATCH (c:Concept {uri: $old}) SET c.uri = $uri, c.text = $text"
    await run(login, rename, old="meat", uri="o’hara’s meat", text="O’Hara’s meat")
    await run(login, rename, old="hot", uri="o’hara", text="O’Hara")
    hara, meat = Concept.of("O'Hara"), t("dog", "Desires", "O'Hara's meat")
    cold, mirrored = t("O'Hara", "Antonym", "cold"), t("cold", "Antonym", "O'Hara")
    assert [v.triple for v in await store.neighborhood("ann", hara, 9)] == [cold]
    assert (await store.neighborhood("ann", DOG, 9)).find(meat) is not None
    in_base_and_mark = await store.find("ann", [meat, mirrored])
    assert in_base_and_mark == {meat: (True, None), mirrored: (True, None)}
    found = await store.look_up("ann", ["o'hara", "o'hara's meat"])
    assert [(e.concept.key, e.in_base) for e in found.values()] == [
        ("o'hara", True),
        ("o'hara's meat", True),
    ]
    page = await store.page_neighborhood("ann", hara, Page(9), 0)
    assert [v.triple for v in page.items] == [cold]
    await remove(store, "ann", meat)
    assert (await store.neighborhood("ann", DOG, 9)).find(meat) is None
    await run(login, "MATCH (g:Graph) SET g.fingerprint = 'changed by hand'")
