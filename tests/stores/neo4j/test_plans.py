"""What statements cost: they use indexes, and other users or large overlays cost nothing more."""

from __future__ import annotations

from typing import Any, LiteralString

from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Connection, Neo4jLogin, Tx, done
from server.stores.neo4j.rows import NEWEST, asked_rows, place_of, triple_of, who
from server.stores.neo4j.store import Neo4jStore
from testbed.neo4j.graphs import run
from tests.conformance.graph_store import CARROTS, DOG, MEAT, VOCABULARY, add, remove, t, tails
from tests.stores.neo4j.looking import grow

SYMMETRIC = sorted(VOCABULARY.symmetric_names())
Statements = dict[str, tuple[LiteralString, dict[str, Any]]]
"""Statements by name, with the parameters other than those that say who asks."""


async def test_reads_use_the_overlay_s_index_and_do_not_pay_for_other_users(
    store: Neo4jStore, login: Neo4jLogin, connection: Connection
) -> None:
    await add(store, "ann", CARROTS)
    await remove(store, "ann", MEAT)
    # Not from an empty graph, where a scan looks as cheap as a seek to Neo4j's planner.
    await run(login, FOREIGN_EDGES, start=0, count=10_000)
    await run(login, REPLAN)
    before = await profiled(connection)
    for start in range(10_000, 60_000, 10_000):
        await run(login, FOREIGN_EDGES, start=start, count=10_000)
    await run(login, REPLAN)
    after = await profiled(connection)
    view = await store.neighborhood("ann", DOG, 9)
    await run(login, *[FORGET_FOREIGN_EDGES] * 10)
    assert tails(view, "Desires") == ["carrots", "bones"]
    for plan in (before["marks"], after["marks"]):
        operators = operators_of(plan)
        assert sum("RelationshipIndexSeek" in name for name, _ in operators) == 4
        expanded = [name for name, _ in operators if "Expand" in name or "Scan" in name]
        assert expanded == [], "never by expanding the hub"
        details = " ".join(details for _, details in operators)
        assert "(head, age)" in details
        assert "(tail, age)" in details
    hits = {name: (db_hits(before[name]), db_hits(after[name])) for name in before}
    print(f"db hits beside 20,000 and beside 120,000 edges of other users: {hits}")
    assert all(few == many for few, many in hits.values()), hits


REPLAN: LiteralString = "CALL db.prepareForReplanning(60)"
"""Plans are made anew from the graph's counts as they are; a plan stays for ten seconds else."""
FOREIGN_EDGES = """
MATCH (hub:Concept {uri: 'dog'})
UNWIND range($start, $start + $count - 1) AS n
MERGE (leaf:PersonalConcept {key: 'wish ' + toString(n % 100)}) ON CREATE SET leaf.owner = 'foreign'
WITH hub, leaf, {
  owner: 'other ' + toString(n), head: 'dog of ' + toString(n), tail: leaf.key + toString(n),
  triple: 'triple ' + toString(n), age: '1', subject: 'dog', relation: 'Desires', object: leaf.key,
  subject_text: 'dog', object_text: leaf.key, revision: 1, position: 0} AS mark
CREATE (hub)-[added:ADDED]->(leaf) SET added = mark
CREATE (hub)-[deleted:DELETED]->(leaf) SET deleted = mark
"""


FORGET_FOREIGN_EDGES = """
MATCH (p:PersonalConcept {owner: 'foreign'}) WITH p LIMIT 10 DETACH DELETE p
"""


async def profiled(connection: Connection) -> dict[str, Any]:
    """The plans, with their costs, of the two statements that a neighborhood takes."""
    marks = {"key": place_of("ann", "dog"), "before": NEWEST, "symmetric": SYMMETRIC}
    asked = asked_rows((CARROTS, MEAT), SYMMETRIC)
    base = {"uris": ["dog"], "limit": 64, "triples": asked}
    return await plans(
        connection, {"marks": (cypher.MARKS_AT, marks), "base": (cypher.BASE_SLICES, base)}
    )


async def plans(connection: Connection, statements: Statements) -> dict[str, Any]:
    """The plan of each statement about ann, with its costs."""

    async def work(tx: Tx) -> dict[str, Any]:
        found = {}
        for name, (statement, parameters) in statements.items():
            result = await tx.run("PROFILE " + statement, {**who("ann"), **parameters})
            found[name] = (await result.consume()).profile
        return found

    await connection.read(work)  # the first run plans, and reads what later ones find in caches
    return await connection.read(work)


def operators_of(plan: Any) -> list[tuple[str, str]]:
    own = (plan["operatorType"], str(plan["args"].get("Details", "")))
    return [own, *(o for child in plan.get("children", []) for o in operators_of(child))]


def db_hits(plan: Any) -> int:
    return int(plan["args"].get("DbHits", 0)) + sum(
        db_hits(child) for child in plan.get("children", [])
    )


async def test_a_page_costs_the_same_in_a_large_overlay(
    store: Neo4jStore, login: Neo4jLogin, connection: Connection
) -> None:
    costs = []
    for size in (1_000, 9_000):
        await grow(store, size)
        await run(login, REPLAN)
        costs.append(await page_hits(connection))
    print(f"db hits of pages at 1,000 and at 10,000 facts: {costs}")
    small, large = costs
    assert all(large[name] <= small[name] * 1.1 + 10 for name in small), costs
    await forget(connection)


async def page_hits(connection: Connection) -> dict[str, int]:
    """The db hits of the statements that pages take, and of a look at 50 triples."""
    triples = [t("dog", "HasA", f"idea 1 {n}") for n in range(50)]
    at_dog = {"key": place_of("ann", DOG.key), "symmetric": SYMMETRIC}
    page = {"before": NEWEST, "count": 51}
    further_on = {"before": f"{1:016d}.{500:016d}", "count": 51}
    keys = [triple_of("ann", triple) for triple in triples]
    statements: Statements = {
        "facts": (cypher.FACTS_PAGE, page),
        "facts further on": (cypher.FACTS_PAGE, further_on),
        "neighborhood": (cypher.MARKS_AT_PAGE, {**at_dog, **page}),
        "marks": (cypher.MARKS_ON, {"marked": keys}),
        "in base": (cypher.IN_BASE, {"triples": asked_rows(triples, SYMMETRIC)}),
    }
    return {name: db_hits(plan) for name, plan in (await plans(connection, statements)).items()}


async def forget(connection: Connection) -> None:
    """Delete the overlay, which is large."""
    await connection.write(lambda tx: done(tx, "MATCH ()-[m:ADDED]->() DELETE m"), 60)
