"""When all that a Personalize needs is asked as one question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.tuning.answer import Answerer
from server.tuning.personalize.command import (
    PersonalizeCommand,
    PersonalizeRules,
    RelationSource,
)
from server.tuning.scoring import ScoringBudget
from tests.fixed_model import FixedModel
from tests.tuning.personalize.dogs import COMMAND, proposed

RANKED = PersonalizeRules(relation_source=RelationSource.RANKED)
NAMED = replace(COMMAND, answer_before="meat", relations=("Desires", "HasA"), verify=False)


async def passes(answerer: Answerer, command: PersonalizeCommand) -> int:
    """The questions put to the model: each is a forward pass where nothing is generated."""
    outcome = await proposed(answerer, command)
    assert outcome.cost.model.tokens_generated == 0
    return outcome.cost.model.forward_passes


@pytest.mark.parametrize("changes", [{}, {"relations": (), "rules": RANKED}])
async def test_with_the_answer_before_and_known_relations_there_is_one_question(
    answerer: Answerer, changes: dict[str, object]
) -> None:
    assert await passes(answerer, replace(NAMED, **changes)) == 1  # type: ignore[arg-type]


async def test_without_the_answer_before_the_steps_ask_one_by_one(answerer: Answerer) -> None:
    assert await passes(answerer, replace(NAMED, answer_before=None)) > 1


async def test_the_answer_after_the_likeliest_decision_is_asked_for_before_it(
    answerer: Answerer, model: FixedModel
) -> None:
    """It is part of the stage in which the triples are scored, and is not asked for again."""
    outcome = await proposed(answerer, COMMAND)
    assert outcome.account.answer_after == "vegetables"
    asked = [
        prompt for prompt in model.generated if "vegetables <answer>:" in prompt or "; " in prompt
    ]
    assert len(asked) == len(set(asked)) == 2, "the answers before and after"


async def test_a_decision_that_comes_otherwise_is_answered_all_the_same(
    answerer: Answerer, model: FixedModel
) -> None:
    """The model lists a relation first that it does not believe in."""
    command = replace(COMMAND, relations=("HasA", "Desires"), answer_before="nothing")
    outcome = await proposed(answerer, command)
    assert [change.triple.relation for change in outcome.edit.added] == ["Desires"]
    assert (outcome.account.converged, outcome.account.answer_after) == (True, "vegetables")
    assert len(model.generated) == 2, "in vain, and after the decision"


async def test_nothing_is_asked_ahead_that_goes_beyond_the_budget(answerer: Answerer) -> None:
    rules = PersonalizeRules(budget=ScoringBudget(triples=3))
    assert await passes(answerer, replace(NAMED, rules=rules)) > 1
