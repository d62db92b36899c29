"""A whole Personalize with a real model, whose forward passes are counted at the model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from server import assemble
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.lm.loading import LoadedModel
from server.lm.transformers_model import TransformersModel
from server.rpc.service import UseCases
from server.settings import Settings
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import AnswerQuery
from server.tuning.cost import CostMeter
from server.tuning.history import EditFactsCommand
from server.tuning.personalize.command import PersonalizeCommand, RelationSource
from server.tuning.personalize.outcome import PersonalizeOutcome
from server.tuning.ports import ModelCost
from testbed.bases import BaseTriple, build_base
from tests.lm.passes import Passes

VOCABULARY = Vocabulary.built_in()
FACTS = [
    ("dog", "Desires", "meat"), ("dog", "Desires", "bones"), ("dog", "AtLocation", "kennel"),
    ("dog", "CapableOf", "bark"), ("dog", "HasA", "four legs"),
]  # fmt: skip
COMMAND = PersonalizeCommand(
    "alice",
    "What does a dog enjoy?",
    "fox",
    subject="dog",
    answer_before="meat",
    verify=False,
)
"""These random models find a triple that helps with a fox, and none that helps with tuna."""


@pytest.fixture
async def use(loaded: LoadedModel, tmp_path: Path) -> AsyncIterator[UseCases]:
    build_base(tmp_path, [BaseTriple(Triple.of(*fact)) for fact in FACTS], VOCABULARY)
    store, model = SqliteStore(tmp_path, VOCABULARY), TransformersModel(loaded, token_budget=4096)
    yield assemble.use_cases(Settings(), store, model, VOCABULARY)
    model.close()
    await store.close()


async def personalized(use: UseCases, command: PersonalizeCommand) -> PersonalizeOutcome:
    outcome = await use.writes.run(
        command.user, lambda snapshot: use.personalizer.propose(command, snapshot)
    )
    assert outcome.considered, "something was decided"
    return outcome


def ranked(use: UseCases, **changes: object) -> PersonalizeCommand:
    rules = replace(use.personalize_defaults, relation_source=RelationSource.RANKED)
    return replace(COMMAND, rules=rules, **changes)  # type: ignore[arg-type]


async def test_with_ranked_relations_and_the_answer_before_a_personalize_is_one_forward_pass(
    use: UseCases, loaded: LoadedModel
) -> None:
    """The query's key, which is kept with what is added, comes with it."""
    with Passes(loaded) as passes:
        outcome = await personalized(use, ranked(use))
    assert passes.lengths == [outcome.cost.model.tokens_read]
    assert outcome.cost.model == ModelCost(1, passes.lengths[0])
    [scope] = [change.scope for change in outcome.edit.added]
    assert scope is not None
    assert scope.key


@pytest.mark.parametrize(("answer", "added"), [("fox", 1), ("tuna", 0)])
async def test_with_the_callers_relations_too(
    use: UseCases, loaded: LoadedModel, answer: str, added: int
) -> None:
    command = replace(COMMAND, relations=("Desires", "HasA"), answer=answer)
    with Passes(loaded) as passes:
        outcome = await personalized(use, command)
    assert passes.lengths == [outcome.cost.model.tokens_read]
    assert len(outcome.edit.added) == added


async def test_what_has_to_be_generated_comes_on_top(use: UseCases, loaded: LoadedModel) -> None:
    """Each generated token that was not drafted is a pass, and the answer before is generated.

    A pass that two questions of the request share counts once. (The counter works.)
    """
    with Passes(loaded) as passes:
        outcome = await personalized(use, ranked(use, answer_before=None, verify=True))
    cost = outcome.cost.model
    assert len(passes.lengths) == cost.forward_passes
    assert cost.forward_passes > cost.tokens_generated - cost.tokens_accepted > 0
    assert sum(passes.lengths) == cost.tokens_read


async def test_an_answer_after_it_pays_no_second_retrieval_pass(
    use: UseCases, loaded: LoadedModel
) -> None:
    outcome = await personalized(use, ranked(use))
    meter = CostMeter()
    query = AnswerQuery("alice", COMMAND.query, subject="dog", max_tokens=4)
    with Passes(loaded) as passes:
        evidence = await use.answerer.evidence(query, meter)
        assert passes.lengths == []
        assert "".join([piece async for piece in use.answerer.text(evidence, meter)]) is not None
    assert [fact.viewed.triple for fact in evidence.facts][:1] == [
        change.triple for change in outcome.edit.added
    ]
    assert len(passes.lengths) == meter.total().model.forward_passes <= 5


async def test_relations_and_all_keys_of_an_answer_are_read_in_one_pass(
    use: UseCases, loaded: LoadedModel
) -> None:
    """The query's, and those of facts whose keys are not known: here they were told as triples."""
    told = [Triple.of("dog", "Desires", "tuna"), Triple.of("dog", "HasA", "collar")]
    command = EditFactsCommand.of("alice", VOCABULARY, add=told)
    await use.writes.run("alice", lambda snapshot: use.historian.propose_edit(command, snapshot))
    counted = []
    for query in ("What does a dog enjoy?", "Where do you find a dog?"):
        meter = CostMeter()
        with Passes(loaded) as passes:
            await use.answerer.evidence(AnswerQuery("alice", query), meter)
        assert passes.lengths == [meter.total().model.tokens_read]
        counted += passes.lengths
    assert counted[1] < counted[0], "the facts' keys are known by now"
