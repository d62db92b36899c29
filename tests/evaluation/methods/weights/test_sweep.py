"""Which layers are best, on cases outside of the test set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evaluation.methods.method import EditCase
from evaluation.methods.weights.fine_tuning import FT, FineTuning
from evaluation.methods.weights.rome import ROME, RankOne
from evaluation.methods.weights.sweep import Tried, best, tried
from server.lm.loading import ModelChoice
from tests.evaluation.methods.weights.cases import DOG, changed, weights

FOX = replace(DOG, id="fox", subject="fox", prompt="The quick fox likes", paraphrases=())


def test_layers_are_tried_and_the_weights_are_as_before(llama: ModelChoice) -> None:
    method = FT(llama, how=FineTuning(rate=5e-3))
    before = weights(method)
    found = [tried(method, layers, [], [DOG, FOX]) for layers in ((0,), (3,), (0, 3))]
    assert not changed(method, before)
    assert [one.layers for one in found] == [(0,), (3,), (0, 3)]
    assert best(found).rank == max(one.rank for one in found)
    for one in found:
        assert 0 <= one.efficacy <= 1 and 0 <= one.paraphrase <= 1


def test_a_layer_that_learns_ranks_above_one_that_does_not(llama: ModelChoice) -> None:
    class LearnsInLayer3(FT):
        def edit(self, case: EditCase) -> None:
            if self.layers == (3,):
                super().edit(case)

    method = LearnsInLayer3(llama, how=FineTuning(rate=5e-3))
    found = [tried(method, layers, [], [DOG]) for layers in ((0,), (3,))]
    assert best(found).layers == (3,)


def test_where_shares_are_equal_the_margin_decides() -> None:
    low, high = Tried((1,), 1.0, 0.5, 2.0), Tried((2,), 1.0, 0.5, 3.0)
    assert best([low, high]) == high
    assert best([low, replace(high, paraphrase=0.25)]) == low


def test_a_case_that_cannot_be_edited_counts_as_it_is(llama: ModelChoice) -> None:
    method = ROME(llama, how=RankOne(tokens_per_neuron=0))
    before = weights(method)
    unknown = replace(DOG, subject="cat")
    found = tried(method, (1,), [], [unknown])
    assert found.efficacy == float(found.margin > 0)
    assert not changed(method, before)


def test_layers_are_tried_on_cases(llama: ModelChoice) -> None:
    with pytest.raises(ValueError, match="outside of the test set"):
        tried(FT(llama), (0,), [], [])
