"""Retrieve: what is asked before the query's key is known, and when that is not enough.

The keys are written out by hand. `at(p)` is a key whose inner product with ASKED's is p; the
model's floor is 0.7, and from 1.0 on a fact is sure.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import numpy as np
import pytest

from server.graph.edit import Scope
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import Answerer, AnswerQuery, AnswerRules
from server.tuning.facts import RetrievalRules
from server.tuning.key_rows import packed
from server.tuning.ports import Branch, Key
from server.tuning.retrieval import MOST_FORESEEN
from server.tuning.retrieve import Librarian, Retrieved, RetrieveQuery
from testbed.bases import BaseTriple, build_base
from tests.fixed_model import FixedModel
from tests.tuning.teaching import VOCABULARY, taught, told

ASKED = "What does a dog enjoy?"
WITH_ITS_WORD, WITHOUT = "Which treat is for the dog?", "Which treat should I buy him?"
CARROTS = Triple.of("dog", "Desires", "carrots")
PUPPY = Triple.of("puppy", "Desires", "carrots")
KENNEL = Triple.of("dog", "AtLocation", "kennel")
FLOOR, NEAR, SURE = 0.7, 0.75, 1.0


def at(product: float) -> Key:
    return np.array([product, math.sqrt(max(0.0, 1 - product * product))], np.float32)


def scope(query: str, product: float) -> Scope:
    return Scope(query, packed(at(product)), FixedModel.key_fingerprint, answered=0.9)


@pytest.fixture
def model() -> FixedModel:
    return FixedModel({ASKED: "likes"}, keys={ASKED: at(1)}, sure=SURE, hinted=0.1)


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    store = SqliteStore(":memory:", VOCABULARY)
    base = [("dog", "Desires", "meat"), ("dog", "IsA", "pet")]
    build_base(store.folder, [BaseTriple(Triple.of(*fact)) for fact in base], VOCABULARY)
    yield store
    await store.close()


@pytest.fixture
def answerer(store: SqliteStore, model: FixedModel) -> Answerer:
    rules = AnswerRules(retrieval=RetrievalRules(floor=FLOOR))
    return Answerer(store, model, VOCABULARY, rules)


async def retrieved(answerer: Answerer, query: str = ASKED) -> Retrieved:
    return await Librarian(answerer).retrieve(RetrieveQuery("ann", query))


async def own(answerer: Answerer) -> list[Triple]:
    """The user's own facts that are retrieved for ASKED."""
    found = await retrieved(answerer)
    return [fact.viewed.triple for fact in found.facts if fact.viewed.is_personal]


def reasoned(model: FixedModel) -> list[Branch]:
    """The questions about facts that the model was asked."""
    return [branch for branch in model.scored if "<facts>" in branch.prompt]


async def something_else(store: SqliteStore, count: int) -> None:
    """As many facts that no query here is about."""
    for number in range(count):
        triple = Triple.of(f"bicycle {number}", "HasA", f"bell {number}")
        await taught(store, "ann", triple, scope(f"What has my bicycle {number}?", 0.1))


async def test_a_user_with_few_facts_gets_what_answer_reads(
    store: SqliteStore, model: FixedModel, answerer: Answerer
) -> None:
    """Also where the queries share no word, and only the model's answer confirms the fact."""
    await taught(store, "ann", CARROTS, scope(WITHOUT, 0.71))
    await taught(store, "ann", KENNEL, scope("Where does it sleep?", 0.72))
    found = await retrieved(answerer)
    assert found.cost.model.forward_passes == 1
    assert len(reasoned(model)) == 2
    read = await answerer.answer(AnswerQuery("ann", ASKED))
    facts = [(f.viewed, f.retrieval_probability) for f in found.facts]
    assert facts == [(f.viewed, f.retrieval_probability) for f in read.evidence.facts]
    assert facts[0][0].triple == CARROTS
    assert KENNEL not in [viewed.triple for viewed, _ in facts], "not what the model answers with"


@pytest.mark.parametrize(
    ("fact", "counts"), [(CARROTS, True), (KENNEL, False)], ids=["confirmed", "refuted"]
)
async def test_of_many_facts_one_that_shares_a_word_is_asked_about(
    store: SqliteStore, model: FixedModel, answerer: Answerer, fact: Triple, counts: bool
) -> None:
    await taught(store, "ann", fact, scope(WITH_ITS_WORD, NEAR))
    await something_else(store, 5)
    found = await own(answerer)
    [asked] = reasoned(model)
    assert asked.continuations == (f" {fact.tail.text}",)
    assert found == ([fact] if counts else [])


async def test_one_that_shares_no_word_takes_a_second_question(
    store: SqliteStore, model: FixedModel, answerer: Answerer
) -> None:
    """It is asked about once it is known to be near, as Answer does."""
    await taught(store, "ann", PUPPY, scope(WITHOUT, NEAR))
    await something_else(store, 5)
    found = await retrieved(answerer)
    assert found.facts[0].viewed.triple == PUPPY
    assert found.cost.model.forward_passes == 2
    [asked] = reasoned(model)
    assert asked.continuations == (" carrots",)


async def test_no_more_is_asked_ahead_than_there_is_room_for(
    store: SqliteStore, model: FixedModel, answerer: Answerer
) -> None:
    for number in range(3 * MOST_FORESEEN):
        triple = Triple.of("dog", "Desires", f"treat {number}")
        await taught(store, "ann", triple, scope(f"Which dog treat {number}?", 0.75))
    found = await retrieved(answerer)
    assert len(reasoned(model)) == MOST_FORESEEN
    assert found.cost.model.forward_passes == 1
    asked = {branch.continuations[0] for branch in reasoned(model)}
    newest = 3 * MOST_FORESEEN
    assert asked == {f" treat {number}" for number in range(newest - MOST_FORESEEN, newest)}
    assert found.facts[0].words == f"dog likes treat {newest - 1}"


async def test_without_facts_of_their_own_the_query_is_not_read(
    model: FixedModel, answerer: Answerer
) -> None:
    found = await retrieved(answerer)
    assert [fact.words for fact in found.facts] == ["dog likes meat", "dog is a kind of pet"]
    assert not any(branch.keyed for branch in model.scored)
    assert found.cost.model.forward_passes == 1


async def test_a_fact_that_was_told_as_a_triple_is_for_queries_that_name_its_head(
    store: SqliteStore, model: FixedModel, answerer: Answerer
) -> None:
    tuna, enjoys = Triple.of("cat", "Desires", "tuna"), "What does a cat enjoy?"
    model.keys |= {"cat likes tuna": at(0.9), enjoys: at(1)}
    model.phrases[enjoys] = "likes"
    await told(store, "ann", tuna)
    assert await own(answerer) == []
    assert reasoned(model) == []
    assert [f.viewed.triple for f in (await retrieved(answerer, enjoys)).facts] == [tuna]
