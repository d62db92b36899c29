"""What is asked, and what is not asked twice."""

from __future__ import annotations

from server.graph.triple import Triple
from server.tuning.answer import Answerer
from server.tuning.objective import Probabilities
from server.tuning.personalize.inquiry import Inquiry
from tests.fixed_model import TOLD, FixedModel
from tests.tuning.personalize.dogs import COMMAND

MEAT = Triple.of("dog", "Desires", "meat")


async def test_a_computation_gets_the_probabilities_that_it_turns_out_to_need(
    answerer: Answerer,
) -> None:
    inquiry = await Inquiry.begin(answerer, COMMAND)

    def told(known: Probabilities) -> tuple[float, float]:
        return known.reasoning_of(MEAT, "meat"), known.reasoning_of(MEAT, "vegetables")

    (meat, vegetables), known = await inquiry.computed(Probabilities(), told)
    assert meat > vegetables
    assert known.reasoning == {(MEAT, "meat"): meat, (MEAT, "vegetables"): vegetables}
    assert abs(meat - TOLD) < 1e-9


async def test_what_is_known_is_not_asked_for(answerer: Answerer, model: FixedModel) -> None:
    inquiry = await Inquiry.begin(answerer, COMMAND)
    known = Probabilities({}, {(MEAT, "meat"): 0.5})
    assert await inquiry.more(known, [(MEAT, "meat")]) is known
    assert model.scored == []


async def test_a_prompt_is_answered_once(answerer: Answerer, model: FixedModel) -> None:
    inquiry = await Inquiry.begin(answerer, COMMAND)
    view = await answerer.store.neighborhood("alice", MEAT.head, 10)
    known = Probabilities({s.relation: 0.5 for s in view.slices})
    assert await inquiry.answer_in(view, known) == await inquiry.answer_in(view, known)
    assert len(model.generated) == 1
