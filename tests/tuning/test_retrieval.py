"""Which facts a query is about: from the whole overlay by their keys, from the base by relation.

The keys are written out by hand. `at(p)` is a key whose inner product with ASKED's is p; the
model's floor is 0.75.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping

import numpy as np
import pytest

from server.graph.edit import Scope
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import Answer, Answerer, AnswerQuery, AnswerRules, Evidence
from server.tuning.cost import CostMeter
from server.tuning.facts import RetrievalRules
from server.tuning.key_rows import packed
from server.tuning.objective import retrieval_probability
from server.tuning.ports import Key
from server.tuning.recall import scope_weight
from server.tuning.retrieval import MOST_CONFIRMED
from server.tuning.subject.choice import USER
from testbed.bases import BaseTriple, build_base
from tests.fixed_model import FixedModel
from tests.tuning.teaching import VOCABULARY, taught, told

BASE = [
    ("dog", "Desires", "meat"), ("dog", "Desires", "bones"), ("dog", "AtLocation", "kennel"),
    ("dog", "HasA", "four legs"), ("zebra", "IsA", "animal"), ("I", "IsA", "letter"),
]  # fmt: skip
ASKED = "What does a dog enjoy?"
OTHER, WORK = "Which treat should I buy him?", "What do I do for work?"
CARROTS = Triple.of("dog", "Desires", "carrots")
NURSE = Triple.of("I", "works as", "nurse")


def at(product: float) -> Key:
    return np.array([product, math.sqrt(1 - product * product)], np.float32)


def scope(query: str, product: float, *, owned: bool = False, answered: float = 1.0) -> Scope:
    return Scope(query, packed(at(product)), FixedModel.key_fingerprint, owned, answered)


def model(
    keys: Mapping[str, Key] | None = None, *, sure: float = 0.75, hinted: float = 0.1
) -> FixedModel:
    phrases = {ASKED: "likes", WORK: "works as", OTHER: "likes"}
    known = {ASKED: at(1), WORK: at(1), OTHER: at(1)} | dict(keys or {})
    return FixedModel(phrases, keys=known, sure=sure, hinted=hinted)


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    store = SqliteStore(":memory:", VOCABULARY)
    build_base(store.folder, [BaseTriple(Triple.of(*fact)) for fact in BASE], VOCABULARY)
    yield store
    await store.close()


def answerer(store: SqliteStore, asked: FixedModel, floor: float = 0.0) -> Answerer:
    rules = AnswerRules(retrieval=RetrievalRules(floor=floor))
    return Answerer(store, asked, VOCABULARY, rules)


async def evidence(
    answers: Answerer, query: str = ASKED, at_revision: int | None = None
) -> tuple[Evidence, int]:
    """What the answer rests on, and how many passes that took."""
    meter = CostMeter()
    found = await answers.evidence(AnswerQuery("ann", query, at_revision=at_revision), meter)
    return found, meter.total().model.forward_passes


async def tails(answers: Answerer, query: str = ASKED, at_revision: int | None = None) -> list[str]:
    found, _ = await evidence(answers, query, at_revision)
    return [fact.viewed.triple.tail.text for fact in found.facts]


async def answer(answers: Answerer, query: str) -> Answer:
    return await answers.answer(AnswerQuery("ann", query))


def keyed(asked: FixedModel) -> list[str]:
    """The prompts whose keys were asked for."""
    return [branch.prompt for branch in asked.scored if branch.keyed]


# The floor


@pytest.mark.parametrize(("product", "first"), [(0.76, "carrots"), (0.74, "meat")])
async def test_a_personal_fact_is_one_from_the_floor_on(
    store: SqliteStore, product: float, first: str
) -> None:
    await taught(store, "ann", CARROTS, scope(OTHER, product))
    assert (await tails(answerer(store, model())))[0] == first


@pytest.mark.parametrize(("floor", "first"), [(0.0, "carrots"), (0.7, "carrots"), (0.95, "meat")])
async def test_a_floor_that_is_set_counts_instead_of_the_models_own(
    store: SqliteStore, floor: float, first: str
) -> None:
    await taught(store, "ann", CARROTS, scope(OTHER, 0.9))
    assert (await tails(answerer(store, model(), floor)))[0] == first


async def test_below_the_floor_the_answer_is_what_it_was_before(store: SqliteStore) -> None:
    before, _ = await evidence(answerer(store, model()))
    await taught(store, "ann", CARROTS, scope(OTHER, 0.5))
    await taught(store, "ann", NURSE, scope(WORK, 0.1))
    after, _ = await evidence(answerer(store, model()))
    assert after.facts == before.facts
    assert after.generation == before.generation


async def test_a_fact_is_found_wherever_in_the_overlay_it_is_filed(store: SqliteStore) -> None:
    """Neither query names where the fact is filed."""
    await taught(store, "ann", Triple.of("profession", "IsA", "nurse"), scope("My job?", 0.9))
    found, _ = await evidence(answerer(store, model()), WORK)
    assert [fact.viewed.triple.tail.text for fact in found.facts] == ["nurse"]
    assert found.subject == USER


# Confirmation


async def test_between_the_floor_and_sure_the_model_is_asked_whether_it_would_answer_so(
    store: SqliteStore,
) -> None:
    await taught(store, "ann", CARROTS, scope(OTHER, 0.9))
    await taught(store, "ann", Triple.of("dog", "AtLocation", "sofa"), scope(WORK, 0.95))
    found, passes = await evidence(answerer(store, model(sure=0.99)))
    texts = [fact.viewed.triple.tail.text for fact in found.facts]
    assert texts == ["carrots", "kennel", "four legs"], "the sofa is no answer to what is enjoyed"
    assert passes == 2
    assert (await tails(answerer(store, model(sure=0.94))))[:2] == ["sofa", "carrots"]


@pytest.mark.parametrize(("hinted", "first"), [(0.21, "sofa"), (0.19, "meat")])
async def test_that_it_would_counts_as_far_as_it_does_for_the_query_that_taught_the_fact(
    store: SqliteStore, hinted: float, first: str
) -> None:
    """k is e^(8 * 0.05) = 1.492: 1.492 * 0.21 / 0.3 is above 1, and 1.492 * 0.19 / 0.3 below."""
    sofa = Triple.of("dog", "AtLocation", "sofa")
    await taught(store, "ann", sofa, scope(OTHER, 0.8, answered=0.3))
    asked = model(sure=0.99, hinted=hinted)
    assert (await tails(answerer(store, asked)))[0] == first


async def test_where_it_is_sure_one_pass_is_all(store: SqliteStore) -> None:
    await taught(store, "ann", CARROTS, scope(OTHER, 0.9))
    asked = model()
    _, passes = await evidence(answerer(store, asked))
    assert passes == 1
    assert not any("<facts>" in branch.prompt for branch in asked.scored)


# Several values


async def test_all_values_of_one_relation_come_and_only_the_nearest_are_asked_about(
    store: SqliteStore,
) -> None:
    sons = ["Noor", "Emil", "Tove", "Ada", "Ben"]
    for n, son in enumerate(sons):
        await taught(
            store, "ann", Triple.of("dog", "Desires", son), scope(f"{OTHER} {n}", 0.8 + n / 100)
        )
    await taught(store, "ann", Triple.of("dog", "HasA", "leash"), scope(WORK, 0.78))
    asked = model(sure=0.99)
    found = await tails(answerer(store, asked))
    assert set(found) == set(sons), "more than an answer's usual three"
    assert (len(found), found[0]) == (5, "Ben")
    about = [branch.prompt for branch in asked.scored if "<facts>" in branch.prompt]
    assert len(about) == MOST_CONFIRMED == 3


async def test_a_fact_that_the_model_refuses_does_not_come_with_the_others(
    store: SqliteStore,
) -> None:
    """The query needs "likes": a leash is liked, and that the dog has it does not say so."""
    for tail, relation in (("a leash", "Desires"), ("a bell", "HasA"), ("a cat", "HasA")):
        await taught(store, "ann", Triple.of("dog", relation, tail), scope(f"{tail}?", 0.8))
    assert await tails(answerer(store, model(sure=0.79))) == ["a cat", "a bell", "a leash"]
    assert await tails(answerer(store, model(sure=0.99))) == ["a leash", "kennel", "four legs"]


async def test_a_fact_about_a_name_that_the_query_does_not_mention_has_to_be_surely_asked(
    store: SqliteStore,
) -> None:
    of_anna = Triple.of("Anna Schmidt", "Desires", "tea")
    await taught(store, "ann", of_anna, scope("What does Anna Schmidt drink?", 0.9))
    asked = model(sure=0.99)
    assert "tea" not in await tails(answerer(store, asked))
    assert not any("<facts>" in branch.prompt for branch in asked.scored)
    assert (await tails(answerer(store, model())))[0] == "tea"
    for query in ("What does Anna enjoy?", "What does Mrs. schmidt enjoy?"):
        named = FixedModel({query: "likes"}, keys={query: at(1)}, sure=0.99)
        assert await tails(answerer(store, named), query) == ["tea"]


# Together with the base's


async def test_the_bases_facts_come_behind_and_weigh_1_together(store: SqliteStore) -> None:
    await taught(store, "ann", CARROTS, scope(OTHER, 0.9))
    found, _ = await evidence(answerer(store, model()))
    assert [fact.viewed.triple.tail.text for fact in found.facts] == [
        "carrots",
        "kennel",
        "four legs",
    ]
    weight = scope_weight(0.9, floor=0.75)
    # p(Desires) = 0.8 twice, p(AtLocation) = p(HasA) = 0.05: 1.7
    expected = [weight / (weight + 1), 0.05 / 1.7 / (weight + 1), 0.05 / 1.7 / (weight + 1)]
    shown = [fact.retrieval_probability for fact in found.facts]
    assert shown == pytest.approx(expected, rel=0.01), "keys are kept as float16"


async def test_a_fact_that_the_base_has_too_is_both(store: SqliteStore) -> None:
    await taught(store, "ann", Triple.of("dog", "AtLocation", "kennel"), scope(OTHER, 0.9))
    found, _ = await evidence(answerer(store, model()))
    first = found.facts[0].viewed
    assert (first.triple.tail.text, first.is_personal, first.in_base) == ("kennel", True, True)
    assert first.weight is not None
    assert [fact.viewed.triple.tail.text for fact in found.facts].count("kennel") == 1


async def test_the_base_knows_nothing_of_the_user(store: SqliteStore) -> None:
    """The base's I is a letter."""
    found, _ = await evidence(answerer(store, model()), "What am I?")
    assert found.subject == USER
    assert found.facts == ()
    assert found.generation.prompt == "What am I?"


async def test_a_symmetric_fact_is_read_from_the_querys_subject(store: SqliteStore) -> None:
    await taught(store, "ann", Triple.of("zebra", "Antonym", "aardvark"), scope(OTHER, 0.9))
    query = "What does a zebra enjoy?"
    found, _ = await evidence(answerer(store, model({query: at(1)})), query)
    assert found.facts[0].viewed.triple == Triple.of("zebra", "Antonym", "aardvark")


async def test_what_is_the_users_own_is_read_as_that(store: SqliteStore) -> None:
    await taught(store, "ann", CARROTS, scope("What does my dog eat?", 0.9, owned=True))
    found, _ = await evidence(answerer(store, model()))
    assert "<facts>: my dog likes carrots; dog is located in kennel" in found.generation.prompt


# What is asked of the model


async def test_a_user_without_facts_has_no_key_read(store: SqliteStore) -> None:
    await taught(store, "bob", CARROTS, scope(ASKED, 1))
    asked = model()
    found, passes = await evidence(answerer(store, asked))
    assert (found.facts[0].viewed.triple.tail.text, passes) == ("meat", 1)
    assert keyed(asked) == []


async def test_where_nothing_is_known_nothing_is_asked(store: SqliteStore) -> None:
    found, passes = await evidence(answerer(store, model()), "What do gnomes enjoy?")
    assert (found.facts, passes) == ((), 0)


async def test_relations_and_all_keys_are_one_question_and_are_read_once(
    store: SqliteStore,
) -> None:
    await taught(store, "ann", CARROTS, Scope(OTHER))
    await told(store, "ann", Triple.of("dog", "HasA", "leash"), Triple.of("cat", "HasA", "bell"))
    asked = model({"dog has a leash": at(0.8)})
    answers = answerer(store, asked)
    found, passes = await evidence(answers)
    assert [fact.viewed.triple.tail.text for fact in found.facts][:2] == ["carrots", "leash"]
    assert passes == 1
    assert len(keyed(asked)) == 3, "the query's, OTHER's and that of what was told of the dog"
    asked.scored.clear()
    assert (await evidence(answers))[1] == 0
    await tails(answers, OTHER)
    assert keyed(asked) == [], "its key is that of the fact that it taught"


async def test_a_querys_key_is_remembered_though_many_facts_were_read_with_it(
    store: SqliteStore,
) -> None:
    boats = [Triple.of("dog", "HasA", f"boat {n}") for n in range(40)]
    await told(store, "ann", *boats)
    asked = model({f"dog has a boat {n}": at(0.1) for n in range(40)})
    answers = answerer(store, asked)
    assert [(await evidence(answers))[1] for _ in range(2)] == [1, 0]
    assert len(keyed(asked)) == 41


async def test_a_paraphrase_is_answered_from_the_fact_and_says_the_same(
    store: SqliteStore,
) -> None:
    await taught(store, "ann", NURSE, scope("What's my profession?", 0.9))
    answered = await answer(answerer(store, model()), WORK)
    assert answered.text == "nurse"


# Revisions


async def test_at_an_earlier_revision_the_facts_of_then_are_weighed(store: SqliteStore) -> None:
    await taught(store, "ann", CARROTS, scope(OTHER, 0.9))
    await taught(store, "ann", Triple.of("dog", "Desires", "fish"), scope(OTHER, 0.9))
    answers = answerer(store, model())
    firsts = [(await tails(answers, at_revision=n))[:2] for n in (0, 1, 2, None)]
    assert firsts == [
        ["meat", "bones"],
        ["carrots", "kennel"],
        ["fish", "carrots"],
        ["fish", "carrots"],
    ]


async def test_what_is_written_while_the_store_is_read_is_seen_whole(store: SqliteStore) -> None:
    answers = answerer(store, model())
    plain = store.neighborhood

    async def written_first(*arguments: object) -> object:
        store.neighborhood = plain  # type: ignore[method-assign]
        await taught(store, "ann", CARROTS, scope(OTHER, 0.9))
        return await plain(*arguments)  # type: ignore[arg-type]

    store.neighborhood = written_first  # type: ignore[method-assign, assignment]
    found, _ = await evidence(answers)
    assert (found.revision, found.facts[0].viewed.triple) == (1, CARROTS)


# Literal mode


async def test_in_literal_mode_only_the_subjects_own_facts_are_there_and_eq_5_is_as_printed(
    store: SqliteStore,
) -> None:
    await taught(store, "ann", CARROTS, scope(OTHER, 0.9))
    await taught(store, "ann", Triple.of("dog", "HasA", "leash"), scope("And outdoors?", 0.1))
    await taught(store, "ann", NURSE, scope(WORK, 0.95))
    answers = answerer(store, model())
    choice = await answers.subject_of("ann", ASKED, "dog", None)
    looked = await answers.retriever.look("ann", choice, 80, literal=True)
    scorer = answers.scorer("ann", ASKED, choice.match.concept, CostMeter(), {})
    found = await answers.retriever.recall(scorer, looked, fully=True)
    assert {v.triple.head.text for v in found.view} == {"dog"}
    assert found.view.count == 6
    # 3 * 0.8 + 0.05 + 2 * 0.05 = 2.55
    seen = {
        v.triple.tail.text: retrieval_probability(v.triple, found.view, found.probabilities)
        for v in found.view
    }
    assert seen["carrots"] == seen["meat"] == pytest.approx(0.8 / 2.55)
    assert seen["leash"] == pytest.approx(0.05 / 2.55), "the query need not be about it"
    assert [v.triple.tail.text for v in found.facts] == ["carrots", "kennel", "four legs"]
