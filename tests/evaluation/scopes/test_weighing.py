"""What a model of known answers says about probes, and that the service decides the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest

from evaluation.scopes.banks import Bank, Probe, Taught
from evaluation.scopes.curves import Sample, Thresholds
from evaluation.scopes.weighing import Weighed, Weigher
from server import assemble
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.rpc.service import UseCases
from server.settings import Settings
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import Answerer
from server.tuning.cost import CostMeter
from server.tuning.personalize.command import PersonalizeCommand
from server.tuning.recall import SHARPNESS
from testbed.bases import BaseTriple, build_base
from tests.fixed_model import HINTED, TOLD, FixedModel

VOCABULARY = Vocabulary.built_in()
FEED, PLACE, JOB = "What does my dog enjoy?", "Where does Ada Byron live?", "What do I do for work?"
PHRASES = {
    FEED: "likes",
    "What should I feed my dog?": "likes",
    "What does my cat enjoy?": "likes",
    "Where is my dog?": "is located in",
    PLACE: "is located in",
    JOB: "works as",
    "For money I work as": "works as",
    "Ada Byron has her home in": "is located in",
    "Where does Kim Novak live?": "is located in",
}
BANK = Bank(
    facts=(
        Taught(FEED, "vegetables"),
        Taught(PLACE, "York"),
        Taught(JOB, "nurse"),
    ),
    probes=(
        Probe("What should I feed my dog?", 0, "set"),
        Probe("Ada Byron has her home in", 1, "set"),
        Probe("For money I work as", 2, "set"),
        Probe("What does my cat enjoy?", None, "set"),
        Probe("Where is my dog?", None, "set"),
        Probe("Who wrote Emma?", None, "set"),
        Probe("Where does Kim Novak live?", None, "set"),
    ),
)


@pytest.fixture
def model() -> FixedModel:
    return FixedModel(PHRASES)


@pytest.fixture
async def use(model: FixedModel) -> AsyncIterator[UseCases]:
    store = SqliteStore(":memory:", VOCABULARY)
    base = [("dog", "Desires", "meat"), ("York", "HasProperty", "old")]
    build_base(store.folder, [BaseTriple(Triple.of(*fact)) for fact in base], VOCABULARY)
    yield assemble.use_cases(Settings(), store, model, VOCABULARY)
    await store.close()


async def weigh(answerer: Answerer, bank: Bank = BANK) -> dict[str, Weighed]:
    weighed = await Weigher(answerer).weigh("set", [bank])
    return {one.probe.query: one for one in weighed}


async def test_a_fact_is_worded_as_personalize_would_file_it(use: UseCases) -> None:
    weighed = await weigh(use.answerer)
    first = weighed["What should I feed my dog?"].near[0]
    assert (first.fact, first.is_right) == ("my dog likes vegetables", True)
    assert weighed["For money I work as"].near[0].fact == "I works as nurse"


async def test_answering_with_a_fact_is_compared_with_when_it_was_taught(use: UseCases) -> None:
    weighed = await weigh(use.answerer)
    assert weighed["What should I feed my dog?"].near[0].answered == pytest.approx(1)
    another = {near.fact: near for near in weighed["Where is my dog?"].near}
    assert another["my dog likes vegetables"].answered == pytest.approx(HINTED / TOLD)
    assert not any(near.is_right for near in another.values())


async def test_the_nearest_come_first_and_what_is_far_is_not_asked_about(use: UseCases) -> None:
    for one in (await weigh(use.answerer)).values():
        products = [near.product for near in one.near]
        assert products == sorted(products, reverse=True)
        assert all(near.answered is None for near in one.near if near.product < 0.3)


async def test_a_fact_about_another_name_is_not_asked_about(use: UseCases) -> None:
    near = (await weigh(use.answerer))["Where does Kim Novak live?"].near[0]
    assert near.fact == "Ada Byron is located in York"
    assert (near.of_another, near.answered) == (True, None)
    assert near.product >= 0.3


async def test_a_fact_is_worded_once(use: UseCases, model: FixedModel) -> None:
    weigher = Weigher(use.answerer)
    await weigher.weigh("set", [BANK])
    await weigher.weigh("set", [BANK])
    assert len(model.generated) == len(BANK.facts)


async def test_what_personalize_refuses_is_never_found(use: UseCases) -> None:
    bank = Bank((Taught(FEED, "?"),), BANK.probes[:1])
    weighed = await weigh(use.answerer, bank)
    assert weighed["What should I feed my dog?"].near == ()


@pytest.mark.parametrize(("floor", "sure"), [(0.3, 0.3), (0.3, 0.95), (0.6, 0.7), (0.6, 0.95)])
async def test_the_service_decides_the_same(
    use: UseCases, model: FixedModel, floor: float, sure: float
) -> None:
    weighed = await weigh(use.answerer)
    model.floor, model.sure = floor, sure
    for taught in BANK.facts:
        command = PersonalizeCommand("user", taught.query, taught.answer)
        outcome = await use.writes.run("user", partial(use.personalizer.propose, command))
        assert outcome.account.converged
    for query, one in weighed.items():
        choice = await use.answerer.subject_of("user", query, None, None)
        looked = await use.answerer.retriever.look("user", choice, 10)
        subject = choice.match.concept
        scorer = use.answerer.scorer("user", query, subject, CostMeter(), {})
        found = await use.answerer.retriever.recall(scorer, looked)
        personal = [scorer.said(viewed.triple) for viewed in found.facts if viewed.is_personal]
        point = Sample([one]).point(Thresholds(floor, sure, 1 / SHARPNESS))
        if one.probe.is_paraphrase:
            right = next(near.fact for near in one.near if near.is_right)
            assert (personal[:1] == [right]) == bool(point.won), query
        else:
            assert (personal == []) == bool(point.alone), query
