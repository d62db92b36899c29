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
from server.tuning.cost import Cost, CostMeter
from server.tuning.personalize.command import PersonalizeCommand, RelationSource
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
    "fresh vegetables",
    subject="dog",
    answer_before="meat",
    verify=False,
)


@pytest.fixture
async def use(loaded: LoadedModel, tmp_path: Path) -> AsyncIterator[UseCases]:
    build_base(tmp_path, [BaseTriple(Triple.of(*fact)) for fact in FACTS], VOCABULARY)
    store, model = SqliteStore(tmp_path, VOCABULARY), TransformersModel(loaded, token_budget=4096)
    yield assemble.use_cases(Settings(), store, model, VOCABULARY)
    model.close()
    await store.close()


async def personalized(use: UseCases, command: PersonalizeCommand) -> Cost:
    outcome = await use.writes.run(
        command.user, lambda snapshot: use.personalizer.propose(command, snapshot)
    )
    assert outcome.edit.added, "something was decided"
    return outcome.cost


def ranked(use: UseCases, **changes: object) -> PersonalizeCommand:
    rules = replace(use.personalize_defaults, relation_source=RelationSource.RANKED)
    return replace(COMMAND, rules=rules, **changes)  # type: ignore[arg-type]


async def test_with_ranked_relations_and_the_answer_before_a_personalize_is_one_forward_pass(
    use: UseCases, loaded: LoadedModel
) -> None:
    with Passes(loaded) as passes:
        cost = await personalized(use, ranked(use))
    assert passes.lengths == [cost.model.tokens_read]
    assert (cost.model.forward_passes, cost.model.tokens_generated) == (1, 0)


async def test_with_the_callers_relations_too(use: UseCases, loaded: LoadedModel) -> None:
    with Passes(loaded) as passes:
        cost = await personalized(use, replace(COMMAND, relations=("Desires", "HasA")))
    assert passes.lengths == [cost.model.tokens_read]


async def test_what_has_to_be_generated_comes_on_top(use: UseCases, loaded: LoadedModel) -> None:
    """Each generated token is a pass, and the answer before is generated. (The counter works.)"""
    with Passes(loaded) as passes:
        cost = await personalized(use, ranked(use, answer_before=None, verify=True))
    assert len(passes.lengths) == cost.model.forward_passes > cost.model.tokens_generated > 0


async def test_an_answer_after_it_pays_no_second_retrieval_pass(
    use: UseCases, loaded: LoadedModel
) -> None:
    await personalized(use, ranked(use))
    meter = CostMeter()
    query = AnswerQuery("alice", COMMAND.query, subject="dog", max_tokens=4)
    with Passes(loaded) as passes:
        evidence = await use.answerer.evidence(query, meter)
        assert passes.lengths == []
        assert "".join([piece async for piece in use.answerer.text(evidence, meter)]) is not None
    assert len(passes.lengths) == meter.total().model.forward_passes <= 5
