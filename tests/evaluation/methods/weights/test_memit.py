"""A value that is spread over several layers."""

from __future__ import annotations

import pytest
import torch

from evaluation.methods.weights.edited import Plan
from evaluation.methods.weights.memit import MEMIT, Spread
from evaluation.methods.weights.prefilled import watched
from evaluation.methods.weights.values import Descent, contextualized
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

PLAN = Plan(layers=(0, 1))


def test_an_edit_adds_an_outer_product_to_each_of_the_layers(tiny: ModelChoice) -> None:
    method = MEMIT(tiny, PLAN)
    method.fit([])
    before, maps = weights(method), [matrix.map.clone() for matrix in method.matrices()]
    method.edit(DOG)
    assert changed(method, before) == names(method)
    assert len(maps) == 2
    for matrix, was in zip(method.matrices(), maps, strict=True):
        values = torch.linalg.svdvals(matrix.map - was)
        assert values[1] < 1e-3 * values[0]
    assert_not_differentiated(method)


def test_the_direction_is_that_of_the_papers_equation(tiny: ModelChoice) -> None:
    method = MEMIT(tiny, PLAN, Spread(trust=0.5))
    method.fit([])
    key = torch.randn(method.matrices()[1].map.shape[1], generator=torch.manual_seed(1))
    covariance = method.inverse[1].double().inverse()
    outer = torch.outer(key, key).double()
    expected = torch.linalg.solve(0.5 * len(key) * covariance + outer, key.double())
    torch.testing.assert_close(method.direction(1, key).double(), expected, atol=1e-4, rtol=1e-3)


def test_with_no_trust_in_the_old_keys_the_state_is_what_was_wanted(tiny: ModelChoice) -> None:
    """λ near 0 makes the mean key give exactly its share; the prompt's own comes close."""

    def state(method: MEMIT) -> torch.Tensor:
        with torch.no_grad(), watched(method.model.layer(1)) as seen:
            contextualized(method.model, DOG, [""], DOG.target_new).logits()
        return seen.out[0]

    moved = []
    for trust in (1e-5, 10):
        method = MEMIT(tiny, PLAN, Spread(trust=trust, tokens_per_neuron=0))
        method.fit([])
        before = state(method)
        method.edit(DOG)
        moved.append((state(method) - before).norm())
    assert moved[0] > 10 * moved[1]


def test_the_new_answer_becomes_likelier(tiny: ModelChoice) -> None:
    free = Spread(Descent(clamp=50, decay=0), trust=1e-5)
    method = MEMIT(tiny, PLAN, free)
    method.fit([])
    before = margin(method, DOG)
    method.edit(DOG)
    assert margin(method, DOG) > before


@pytest.mark.story
def test_the_shipped_model_learns_a_fact(shipped: ModelChoice) -> None:
    """With the identity for the covariance: sampling takes minutes, and is tested above."""
    method = MEMIT(shipped, how=Spread(tokens_per_neuron=0, trust=1e-3))
    method.fit([])
    assert margin(method, PARIS) < 0
    method.edit(PARIS)
    assert margin(method, PARIS) > 0
