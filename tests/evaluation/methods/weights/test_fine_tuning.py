"""Fine-tuning of one matrix."""

from __future__ import annotations

import pytest

from evaluation.methods.weights.edited import Plan
from evaluation.methods.weights.fine_tuning import FT, FTL, FineTuning
from server.lm.loading import ModelChoice
from tests.evaluation.methods.weights.cases import (
    DOG,
    PARIS,
    assert_not_differentiated,
    changed,
    margin,
    names,
    weights,
)


@pytest.mark.parametrize("kind", [FT, FTL])
def test_an_edit_changes_only_the_named_matrix(kind: type[FT], tiny: ModelChoice) -> None:
    method = kind(tiny, Plan(layers=(1,)))
    before = weights(method)
    method.edit(DOG)
    assert changed(method, before) == names(method)
    assert len(names(method)) == 1
    assert_not_differentiated(method)


def test_the_new_answer_becomes_likelier_and_edits_add_up(tiny: ModelChoice) -> None:
    method = FT(tiny, Plan(layers=(1,)))
    before = margin(method, DOG)
    method.edit(DOG)
    first, once = margin(method, DOG), weights(method)
    assert first > before
    method.edit(PARIS)
    assert changed(method, once) == names(method)


def test_no_weight_leaves_its_bound(tiny: ModelChoice) -> None:
    method = FTL(tiny, Plan(layers=(1,)))
    (matrix,) = method.matrices()
    before = matrix.map.clone()
    method.edit(DOG)
    largest = (matrix.map - before).abs().max()
    assert 0 < largest <= FTL.bound * (1 + 1e-4)  # rounding to float32


def test_an_answer_that_is_likely_enough_changes_nothing(tiny: ModelChoice) -> None:
    method = FT(tiny, Plan(layers=(1,)), FineTuning(enough=100.0))
    before = weights(method)
    method.edit(DOG)
    assert not changed(method, before)


@pytest.mark.parametrize("kind", [FT, FTL])
@pytest.mark.story
def test_the_shipped_model_learns_a_fact(kind: type[FT], shipped: ModelChoice) -> None:
    method = kind(shipped)
    assert margin(method, PARIS) < 0
    method.edit(PARIS)
    assert margin(method, PARIS) > 0
