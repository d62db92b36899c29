"""Facts about others that a query asks for in their own words, from whichever end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.graph.edit import Scope
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from testbed.bases import BaseTriple, build_base
from tests.tuning.teaching import VOCABULARY, taught
from tests.tuning.test_retrieval import BASE, CARROTS, answerer, at, evidence, model, scope, tails


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    store = SqliteStore(":memory:", VOCABULARY)
    build_base(store.folder, [BaseTriple(Triple.of(*fact)) for fact in BASE], VOCABULARY)
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("query", "found"),
    [("Who wrote a book about old trees?", True), ("Who wrote a book?", False)],
)
async def test_a_query_that_names_the_tail_asks_for_the_head(
    store: SqliteStore, query: str, found: bool
) -> None:
    """The model does not answer with the tail, so asking it would refuse the fact."""
    wrote = Triple.of("Ann Lee", "wrote", "book about old trees")
    await taught(store, "ann", wrote, scope("Ann Lee wrote a book about old trees.", 0.9))
    asked = model({query: at(1)}, sure=0.98)
    assert (await tails(answerer(store, asked), query) == [wrote.tail.text]) is found
    assert not [branch for branch in asked.scored if "<question>" in branch.prompt]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Who invited Ida Vance to give a guest lecture on old bees?", True),
        ("Who invited Ida Vance to dinner?", False),
        ("Who invited the mayor to give an opening speech on new roads?", False),
        ("What is the place of birth of Ray Greene, the guest?", False),
    ],
)
async def test_a_query_in_the_words_that_taught_a_fact_surely_asks_for_it(
    store: SqliteStore, query: str, found: bool
) -> None:
    """It names only one of the two people, and not the one that the fact is filed at."""
    said = "Ray Greene once invited Ida Vance to give a guest lecture on old bees."
    invited = Triple.of("Ray Greene", "once invited", "Ida Vance")
    await taught(store, "ann", invited, scope(said, 0.8))
    asked = model({query: at(1)}, sure=0.98)
    assert (await tails(answerer(store, asked), query) == ["Ida Vance"]) is found


async def test_the_newest_of_two_facts_in_the_querys_words_comes_first(store: SqliteStore) -> None:
    query = "Who collaborated with Ida Vance on a book about old bees?"
    for name, product in (("Ray Greene", 0.95), ("Lou Park", 0.8)):
        wrote = Triple.of(f"{name} and Ida Vance", "collaborated on", "a book about old bees")
        said = f"{name} and Ida Vance collaborated on a book about old bees."
        await taught(store, "ann", wrote, scope(said, product))
    found, _ = await evidence(answerer(store, model({query: at(1)}, sure=0.98)), query)
    heads = [fact.viewed.triple.head.text for fact in found.facts]
    assert heads == ["Lou Park and Ida Vance", "Ray Greene and Ida Vance"]


async def test_the_key_of_several_wordings_is_the_direction_of_their_mean(
    store: SqliteStore,
) -> None:
    """One alone would be too far away."""
    near, far = at(0.9), at(0.6)
    asked = model({"my dog likes": near, "my dog likes carrots": far})
    await taught(store, "ann", CARROTS, Scope("my dog likes <sep> my dog likes carrots"))
    assert (await tails(answerer(store, asked)))[0] == "carrots"
    asked = model({"my dog likes": far, "my dog likes carrots": far})
    assert (await tails(answerer(store, asked)))[0] == "meat"
