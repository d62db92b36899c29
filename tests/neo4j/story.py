"""A graph for people to look at.

It has everyday facts about dogs and cats, alice's changes, and two users who disagree.
"""

from __future__ import annotations

from pathlib import Path

from server.graph.edit import Account, Change, Edit, EditKind, StopReason, TripleProbabilities
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp
from server.stores.neo4j.connection import Neo4jLogin
from server.stores.neo4j.store import Neo4jStore
from testbed.bases import BaseTriple
from testbed.neo4j.graphs import fill, forget_users
from tests.conformance.graph_store import BONES, CARROTS, MEAT, add, remove, t
from tests.rpc.running import BASE

VOCABULARY = Vocabulary.built_in()
EVERYDAY = [
    *BASE,
    *(
        BaseTriple(t(head, relation, tail), 1.0, "/d/test", "cc0")
        for head, relation, tail in (
            ("cat", "IsA", "pet"),
            ("cat", "HasA", "fur"),
            ("cat", "Desires", "milk"),
            ("cat", "AtLocation", "sofa"),
            ("carrots", "IsA", "vegetables"),
        )
    ),
]


async def tell(login: Neo4jLogin, folder: Path) -> None:
    """Fill the graph.

    alice was personalized and edited facts herself; bob and carol disagree about bones.
    """
    await fill(login, EVERYDAY, VOCABULARY, folder)
    await forget_users(login)
    store = await Neo4jStore.open(login, VOCABULARY)
    try:
        await store.commit("alice", await store.snapshot("alice"), [personalized()], None)
        await add(store, "alice", t("dog", "is named", "Luna"))
        await remove(store, "alice", t("cat", "Desires", "milk"))
        await add(store, "alice", t("cat", "is afraid of", "thunder"))
        await remove(store, "bob", BONES)
        await add(store, "carol", BONES)
    finally:
        await store.close()


def personalized() -> Edit:
    """What a dog enjoys: carrots, not meat."""
    account = Account(
        query="What does a dog enjoy?",
        answer="carrots",
        subject="dog",
        object="carrots",
        relations=("Desires",),
        loss_before=3.0,
        loss_after=1.0,
        stop_reason=StopReason.OVERTOOK,
        converged=True,
        answer_before="meat",
        answer_after="carrots",
    )
    carrots, meat = Mark(Origin.ADDED, Stamp(1, 0)), Mark(Origin.REMOVED, Stamp(1, 1))
    changes = (
        Change(CARROTS, None, carrots, TripleProbabilities(0.0, 0.4, 0.9, 0.1)),
        Change(MEAT, None, meat, TripleProbabilities(0.3, 0.0, 0.1, 0.9)),
    )
    return Edit("e-1", 1, EditKind.PERSONALIZE, 1_700_000_000_000, changes, account)
