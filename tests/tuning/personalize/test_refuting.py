"""The old value goes: the fact that the answer before rests on, whatever its relation and head."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import Answerer, AnswerQuery, AnswerRules
from server.tuning.personalize.command import PersonalizeCommand, PersonalizeRules
from server.tuning.personalize.outcome import PersonalizeOutcome
from server.tuning.problem import Removal
from server.tuning.recall import scope_weight
from tests.fixed_model import FixedModel
from tests.tuning.personalize.dogs import COMMAND, QUERY, proposed
from tests.tuning.recalling import key, scope
from tests.tuning.teaching import VOCABULARY, taught

CAT, WORK, JOB = "What does a cat enjoy?", "What do I do for work?", "What's my profession?"
SONS, FEED = "What are my sons called?", "What should I feed a dog?"
SOFA = Triple.of("cat", "AtLocation", "sofa")
NURSE = Triple.of("I", "works as", "nurse")


@pytest.fixture
def model() -> FixedModel:
    """JOB asks what WORK asks. Each of the others asks something of its own."""
    keys = {WORK: key(1), JOB: key(1, 0.3), SONS: key(0, 0, 1), QUERY: key(0, 1), CAT: key(-1)}
    phrases = {QUERY: "likes", CAT: "likes", WORK: "works as", JOB: "works as", SONS: "has a"}
    return FixedModel(phrases | {FEED: "likes"}, keys=keys | {FEED: key(0, 0, 0, 1)})


def corrected(query: str, answer: str, **changes: object) -> PersonalizeCommand:
    return replace(COMMAND, query=query, answer=answer, **changes)  # type: ignore[arg-type]


def changes(outcome: PersonalizeOutcome) -> tuple[list[Triple], list[Triple]]:
    """What was added, and what was removed."""
    edit = outcome.edit
    return [c.triple for c in edit.added], [c.triple for c in edit.removed]


async def test_a_fact_of_another_relation_that_gave_the_answer_goes_and_its_relation_is_tried_first(
    answerer: Answerer,
) -> None:
    """The base knows where a cat is, and the model answers so for want of anything better."""
    outcome = await proposed(answerer, corrected(CAT, "naps"))
    assert outcome.account.answer_before == "sofa"
    assert changes(outcome) == ([Triple.of("cat", "AtLocation", "naps")], [SOFA])
    assert outcome.account.relations[0] == "AtLocation"


async def test_with_relations_of_the_callers_own_it_goes_too(answerer: Answerer) -> None:
    outcome = await proposed(answerer, corrected(CAT, "naps", relations=("Desires",)))
    assert changes(outcome) == ([Triple.of("cat", "Desires", "naps")], [SOFA])


async def test_with_removal_none_it_only_has_to_stand_behind(answerer: Answerer) -> None:
    rules = PersonalizeRules(removal=Removal.NONE)
    outcome = await proposed(answerer, corrected(CAT, "naps", rules=rules))
    assert outcome.account.converged
    assert changes(outcome)[1] == []


async def test_a_personal_fact_that_another_query_taught_is_replaced_where_it_is(
    store: SqliteStore, answerer: Answerer
) -> None:
    await taught(store, COMMAND.user, NURSE, scope(WORK))
    outcome = await proposed(answerer, corrected(JOB, "pilot"))
    assert outcome.subject.concept.text == "profession"
    assert outcome.account.answer_before == "nurse"
    assert changes(outcome) == ([Triple.of("I", "works as", "pilot")], [NURSE])


async def test_the_other_values_of_its_relation_stay(
    store: SqliteStore, answerer: Answerer
) -> None:
    sons = [Triple.of("sons", "HasA", name) for name in ("Noor", "Emil")]
    for son in sons:
        await taught(store, COMMAND.user, son, scope(SONS))
    outcome = await proposed(answerer, corrected(SONS, "Tove"))
    assert outcome.account.answer_before == "Emil"
    assert changes(outcome) == ([Triple.of("sons", "HasA", "Tove")], [sons[1]])


async def test_a_fact_of_the_base_about_something_else_than_the_new_one_stays(
    answerer: Answerer,
) -> None:
    """What the user feeds a dog is a fact about the user. A dog likes meat all the same."""
    outcome = await proposed(answerer, corrected(FEED, "carrots", relations=("Desires",)))
    assert outcome.account.answer_before == "meat"
    assert changes(outcome) == ([Triple.of("I", "Desires", "carrots")], [])
    assert outcome.account.converged


@pytest.mark.parametrize("verify", [True, False])
async def test_what_is_taught_again_counts_before_only_as_much_as_it_did(
    store: SqliteStore, verify: bool
) -> None:
    """The query is nearer to what taught fish. Teaching carrots again changes that only then."""
    model = FixedModel(
        {QUERY: "likes"}, keys={QUERY: key(0, 1), "A": key(0.75, 1), "B": key(0.5, 1)}
    )
    answers = Answerer(store, model, VOCABULARY, AnswerRules())
    carrots, fish = Triple.of("dog", "Desires", "carrots"), Triple.of("dog", "Desires", "fish")
    await taught(store, COMMAND.user, carrots, scope("A"))
    await taught(store, COMMAND.user, fish, scope("B"))
    assert (await answers.answer(AnswerQuery(COMMAND.user, QUERY))).text == "fish"
    outcome = await proposed(answers, corrected(QUERY, "carrots", verify=verify))
    assert outcome.account.answer_before == "fish"
    assert changes(outcome) == ([carrots], [fish])
    [shown] = [p for z, p in outcome.considered if z == carrots]
    near, nearer = (scope_weight(1 / (1 + x * x) ** 0.5, model.floor) for x in (0.75, 0.5))
    assert shown.retrieval_before == pytest.approx(near / (near + nearer + 1), rel=0.01)
    taught_again = scope_weight(1, model.floor)
    assert shown.retrieval_after == pytest.approx(taught_again / (taught_again + 1))


async def test_a_personal_fact_that_was_only_taken_for_an_answer_stays(
    store: SqliteStore, model: FixedModel
) -> None:
    """JOB is near what taught the fact, but not surely the same question."""
    model.sure = 0.99
    await taught(store, COMMAND.user, NURSE, scope(WORK, key(1), model.key_fingerprint))
    answerer = Answerer(store, model, VOCABULARY, AnswerRules())
    outcome = await proposed(answerer, corrected(JOB, "pilot"))
    assert outcome.account.answer_before == "nurse"
    added, removed = changes(outcome)
    assert "pilot" in {triple.tail.text for triple in added}
    assert NURSE not in removed
