"""Edits of rank one."""

from __future__ import annotations

import pytest
import torch

from evaluation.methods.weights.edited import Plan
from evaluation.methods.weights.prefilled import watched
from evaluation.methods.weights.rome import ROME, RROME, RankOne
from evaluation.methods.weights.values import Descent, contextualized, value_change
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

PLAN = Plan(layers=(1,))


def edited(kind: type[ROME], tiny: ModelChoice, how: RankOne | None = None) -> ROME:
    method = kind(tiny, PLAN, how)
    method.fit([])
    method.edit(DOG)
    return method


@pytest.mark.parametrize("kind", [ROME, RROME])
def test_an_edit_adds_one_outer_product_to_the_named_matrix(
    kind: type[ROME], tiny: ModelChoice
) -> None:
    method = kind(tiny, PLAN)
    method.fit([])
    (matrix,) = method.matrices()
    before, map_before = weights(method), matrix.map.clone()
    method.edit(DOG)
    assert changed(method, before) == names(method)
    values = torch.linalg.svdvals(matrix.map - map_before)
    assert values[0] > 0
    assert values[1] < 1e-4 * values[0]
    assert_not_differentiated(method)


@pytest.mark.parametrize("kind", [ROME, RROME])
def test_the_key_has_the_wanted_value_afterwards(kind: type[ROME], tiny: ModelChoice) -> None:
    method = kind(tiny, PLAN)
    method.fit([])
    (matrix,) = method.matrices()

    def seen_now() -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad(), watched(matrix.module) as seen:
            contextualized(method.model, DOG, method.contexts, DOG.target_new).logits()
        return seen.given, seen.out

    keys, values = seen_now()
    change = value_change(method.model, matrix.module, DOG, method.contexts, method.how.descent)
    method.edit(DOG)
    keys_after, values_after = seen_now()
    torch.testing.assert_close(keys_after, keys)  # the edited layer's own input
    _, value = method.written(keys_after, values_after)
    torch.testing.assert_close(value, values[0] + change, atol=1e-5, rtol=1e-4)
    assert change.norm() <= method.how.descent.clamp * values[0].norm() * (1 + 1e-5)


def test_the_covariance_decides_the_direction(tiny: ModelChoice) -> None:
    plain = edited(ROME, tiny, RankOne(tokens_per_neuron=0))
    sampled = edited(ROME, tiny)
    assert (plain.name, sampled.name, edited(RROME, tiny).name) == (
        "ROME (C = I)",
        "ROME",
        "r-ROME",
    )
    assert not torch.allclose(plain.matrices()[0].map, sampled.matrices()[0].map)


def test_the_same_seed_makes_the_same_edit(tiny: ModelChoice) -> None:
    one, other = edited(ROME, tiny), edited(ROME, tiny)
    torch.testing.assert_close(one.matrices()[0].map, other.matrices()[0].map)


def test_the_new_answer_becomes_likelier(tiny: ModelChoice) -> None:
    method = ROME(tiny, PLAN, RankOne(Descent(clamp=50, decay=0)))
    method.fit([])
    before = margin(method, DOG)
    method.edit(DOG)
    assert margin(method, DOG) > before


@pytest.mark.parametrize("kind", [ROME, RROME])
@pytest.mark.story
def test_the_shipped_model_learns_a_fact(kind: type[ROME], shipped: ModelChoice) -> None:
    """With the identity for the covariance: sampling takes minutes, and is tested above."""
    method = kind(shipped, how=RankOne(tokens_per_neuron=0))
    method.fit([])
    assert margin(method, PARIS) < 0
    method.edit(PARIS)
    assert margin(method, PARIS) > 0
