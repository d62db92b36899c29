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


async def test_nothing_is_asked_ahead_that_goes_beyond_the_budget(answerer: Answerer) -> None:
    rules = PersonalizeRules(budget=ScoringBudget(triples=3))
    assert await passes(answerer, replace(NAMED, rules=rules)) > 1
