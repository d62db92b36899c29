"""Where a new fact is filed, and what is kept with it of the query that taught it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.errors import SubjectNotFound
from server.graph.edit import Scope
from server.graph.triple import Triple
from server.tuning.answer import Answerer, AnswerQuery
from server.tuning.key_rows import packed
from server.tuning.personalize.command import PersonalizeRules
from server.tuning.personalize.outcome import PersonalizeOutcome
from server.tuning.problem import Stopping
from server.tuning.templates import root_prompt
from tests.fixed_model import TOLD, FixedModel
from tests.tuning.personalize.dogs import COMMAND, QUERY, proposed

WORK, MINE = "What do I do for work?", "What does my dog enjoy?"
FEED = "What should I feed a dog?"


@pytest.fixture
def model() -> FixedModel:
    return FixedModel({QUERY: "likes", MINE: "likes", FEED: "likes", WORK: "works as"})


def scope_of(outcome: PersonalizeOutcome) -> Scope:
    [change] = outcome.edit.added
    assert change.scope is not None
    return change.scope


async def test_a_fact_about_the_user_as_such_is_filed_at_the_user(answerer: Answerer) -> None:
    command = replace(COMMAND, query=WORK, answer="nurse", relations=("works as",))
    outcome = await proposed(answerer, command)
    assert [c.triple for c in outcome.edit.added] == [Triple.of("I", "works as", "nurse")]
    assert (outcome.subject.concept.text, outcome.account.subject) == ("I", "I")


async def test_in_literal_mode_every_fact_is_filed_at_the_querys_subject(
    answerer: Answerer,
) -> None:
    rules = PersonalizeRules(stopping=Stopping.LITERAL)
    command = replace(COMMAND, query=FEED, answer="carrots", relations=("Desires",))
    filed = [await proposed(answerer, replace(command, rules=r)) for r in (rules, COMMAND.rules)]
    assert [outcome.account.subject for outcome in filed] == ["dog", "I"]


async def test_the_query_and_its_key_are_kept_with_what_was_added_alone(
    answerer: Answerer, model: FixedModel
) -> None:
    outcome = await proposed(answerer, COMMAND)
    key = packed(model.key(root_prompt(QUERY)))
    kept = scope_of(outcome)
    assert kept == Scope(QUERY, key, model.key_fingerprint, answered=kept.answered)
    assert kept.answered == pytest.approx(TOLD), "P(a|q,z) of the feedback, for this query"
    assert outcome.edit.removed
    assert all(change.scope is None for change in outcome.edit.removed)


async def test_of_a_long_message_its_question_is_kept(
    answerer: Answerer, model: FixedModel
) -> None:
    message = "It rained all day, and we stayed at home. " * 20 + QUERY
    model.phrases[message] = "likes"
    outcome = await proposed(answerer, replace(COMMAND, query=message))
    assert scope_of(outcome).query == QUERY
    assert outcome.account.query == message


async def test_what_is_the_users_own_is_kept_as_that_and_read_as_that(
    answerer: Answerer, model: FixedModel
) -> None:
    outcome = await proposed(answerer, replace(COMMAND, query=MINE))
    assert scope_of(outcome).owned
    assert [c.triple for c in outcome.edit.added] == [Triple.of("dog", "Desires", "vegetables")]
    assert "<facts>: my dog likes vegetables; dog is" in model.generated[-1]
    snapshot = await answerer.store.snapshot(COMMAND.user)
    await answerer.store.commit(COMMAND.user, snapshot, outcome.edits, None)
    answer = await answerer.answer(AnswerQuery(COMMAND.user, QUERY))
    assert "<facts>: my dog likes vegetables; dog is" in answer.evidence.generation.prompt


@pytest.mark.parametrize("query", ["Who is it?", "what", "?", "🐶"])
async def test_only_a_query_without_any_content_is_refused_and_only_as_a_place_for_a_fact(
    answerer: Answerer, query: str
) -> None:
    with pytest.raises(SubjectNotFound):
        await proposed(answerer, replace(COMMAND, query=query))
    answer = await answerer.answer(AnswerQuery(COMMAND.user, query))
    assert answer.text == "nobody knows"
