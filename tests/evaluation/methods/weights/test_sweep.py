"""Which layers are chosen, on cases outside of the test set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evaluation.methods.weights.edited import Plan
from evaluation.methods.weights.fine_tuning import FT, FineTuning
from server.lm.loading import ModelChoice
from tests.evaluation.methods.weights.cases import DOG, changed, weights

FOX = replace(DOG, id="fox", subject="fox", prompt="The quick fox likes", paraphrases=())


def test_the_best_candidate_is_kept_and_the_weights_are_as_before(llama: ModelChoice) -> None:
    plan = Plan(candidates=((0,), (3,), (0, 3)), sweep_cases=2)
    method = FT(llama, plan, FineTuning(rate=5e-3))
    before = weights(method)
    method.fit([DOG, FOX])
    assert not changed(method, before)
    assert {one.layers for one in method.tried} == set(plan.candidates)
    ranks = [one.rank for one in method.tried]
    assert ranks == sorted(ranks, reverse=True)
    assert method.layers == method.tried[0].layers
    for one in method.tried:
        assert 0 <= one.efficacy <= 1 and 0 <= one.paraphrase <= 1


def test_a_layer_that_learns_ranks_above_one_that_does_not(llama: ModelChoice) -> None:
    class LearnsInLayer3(FT):
        def edit(self, case: object) -> None:
            if self.layers == (3,):
                super().edit(DOG)

    method = LearnsInLayer3(llama, Plan(candidates=((0,), (3,))), FineTuning(rate=5e-3))
    method.fit([DOG])
    assert [one.layers for one in method.tried] == [(3,), (0,)]


def test_without_candidates_nothing_is_tried(llama: ModelChoice) -> None:
    method = FT(llama, Plan(layers=(2,)))
    method.fit([DOG])
    assert method.layers == (2,) and not method.tried


def test_a_sweep_needs_cases(llama: ModelChoice) -> None:
    with pytest.raises(ValueError, match="outside of the test set"):
        FT(llama, Plan(candidates=((0,),))).fit([])
