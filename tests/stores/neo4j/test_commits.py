"""What a commit locks, and what is left of one that is refused."""

from __future__ import annotations

from itertools import count

import pytest

from server.errors import Conflict
from server.graph.edit import Change, Edit
from server.stores.neo4j import cypher
from server.stores.neo4j.commits import commit_parameters
from server.stores.neo4j.connection import Connection, Neo4jLogin
from server.stores.neo4j.store import Neo4jStore
from server.stores.rules.erasures import erasure_bucket
from server.tuning.ports import RequestRecord, Snapshot
from testbed.neo4j.graphs import run
from tests.conformance.graph_store import CARROTS, add, added, edit, t
from tests.stores.neo4j.looking import rows
from tests.stores.neo4j.test_plans import db_hits


async def test_a_commit_waits_for_no_commit_at_other_concepts_of_the_base(
    store: Neo4jStore,
) -> None:
    """Not even if both users fall under one counter of erasures, and both know a Luna."""
    ann = "ann"
    other = next(f"user {n}" for n in count() if erasure_bucket(f"user {n}") == erasure_bucket(ann))
    made = edit(1, Change(t("dog", "Desires", "Luna"), None, added(1)))
    made_by_ann = commit_parameters(ann, await store.snapshot(ann), [made], None)
    async with store._connection._session() as holder, await holder.begin_transaction() as held:
        await (await held.run(cypher.COMMIT, {"commits": [made_by_ann]})).consume()
        await add(store, other, t("Luna", "IsA", "cat"))
        assert (await store.snapshot(ann)).revision == 0, "not committed yet"
        await held.commit()
    assert (await store.snapshot(ann)).revision == (await store.snapshot(other)).revision == 1


@pytest.mark.parametrize("edits", [[edit(4, Change(CARROTS, None, added(4)))], []])
async def test_a_refused_commit_leaves_nothing(
    store: Neo4jStore, connection: Connection, edits: list[Edit]
) -> None:
    record = RequestRecord("r-1", "hash", b"made")
    with pytest.raises(Conflict):
        await store.commit("ann", Snapshot(3, "erased meanwhile"), edits, record)
    left = await rows(connection, "MATCH (n:User|Edit|PersonalConcept|Response) RETURN labels(n)")
    assert left == []


async def test_a_commit_costs_the_same_in_a_large_base(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    before = await commit_hits(store)
    await run(login, "UNWIND range(1, 5000) AS n CREATE (:Concept {uri: 'c' + n, generation: 0})")
    await run(login, "CALL db.prepareForReplanning(60)")
    after = await commit_hits(store)
    await run(login, "MATCH (c:Concept {generation: 0}) DELETE c")
    print(f"db hits of a commit without and with 5,000 more concepts: {before}, {after}")
    assert after == before


async def commit_hits(store: Neo4jStore) -> int:
    """The db hits of ann's first commit, which is not made."""
    changes = [Change(t("dog", "Desires", n), None, added(1)) for n in ("meat", "zest")]
    commit = commit_parameters("ann", await store.snapshot("ann"), [edit(1, *changes)], None)
    async with store._connection._session() as session:
        hits = 0
        for _ in range(2):  # the first run plans, and reads what later ones find in caches
            async with await session.begin_transaction() as tx:
                result = await tx.run("PROFILE " + cypher.COMMIT, {"commits": [commit]})
                hits = db_hits((await result.consume()).profile)
                await tx.rollback()
    return hits
