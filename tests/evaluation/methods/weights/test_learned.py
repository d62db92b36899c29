"""Networks that are trained to edit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from evaluation.methods.weights.edited import Plan
from evaluation.methods.weights.hypernetwork import KE
from evaluation.methods.weights.learned import LearnedEditor, NothingToLearnFrom, Training
from evaluation.methods.weights.mend import MEND
from server.lm.loading import ModelChoice
from tests.evaluation.methods.weights.cases import (
    CAPITALS,
    DOG,
    PARIS,
    assert_not_differentiated,
    changed,
    margin,
    names,
    weights,
)

FOX = replace(DOG, id="fox", subject="fox", prompt="The quick fox likes", paraphrases=())
SHORT = Training(rate=1e-3, edits=12, at_once=2)
PLAN = Plan(layers=(1,))

kinds = pytest.mark.parametrize("kind", [MEND, KE])


def trained(kind: type[MEND] | type[KE], choice: ModelChoice, how: Training) -> LearnedEditor:
    method = kind(choice, Plan(layers=(0,)), how)
    method.fit([DOG, FOX])
    return method


@kinds
def test_an_edit_changes_only_the_mlps_of_the_named_layers(
    kind: type[MEND] | type[KE], tiny: ModelChoice
) -> None:
    method = kind(tiny, PLAN, SHORT)
    before = weights(method)
    method.fit([DOG, FOX])
    assert not changed(method, before), "training is on copies"
    method.edit(PARIS)
    assert changed(method, before) == names(method)
    assert all(".1.mlp." in name for name in names(method))
    assert_not_differentiated(method)


@kinds
def test_the_last_three_layers_are_edited_by_default(
    kind: type[MEND] | type[KE], llama: ModelChoice
) -> None:
    method = kind(llama)
    assert method.layers == (1, 2, 3)
    assert len(method.matrices()) == 9


@kinds
def test_training_makes_edits_better(kind: type[MEND] | type[KE], tiny: ModelChoice) -> None:
    def loss(how: Training) -> float:
        method = trained(kind, tiny, how)
        method.networks.eval()
        with torch.no_grad():
            return method.loss(DOG, ("The quick fox likes", "meat")).item()

    how = replace(SHORT, edit_weight=1.0, locality_weight=0.1)
    assert loss(replace(how, edits=24)) < loss(replace(how, edits=2))


@kinds
def test_every_part_of_the_networks_is_trained(
    kind: type[MEND] | type[KE], tiny: ModelChoice
) -> None:
    """MEND's are the identity at first, where a clamp at 0 would have no gradient."""
    method = trained(kind, tiny, replace(SHORT, edits=6))
    after = {name: p.clone() for name, p in method.networks.named_parameters()}
    torch.manual_seed(method.plan.seed)
    for name, new in method.built().named_parameters():
        assert not torch.equal(new, after[name]), name


@kinds
def test_the_same_seed_makes_the_same_edit(kind: type[MEND] | type[KE], tiny: ModelChoice) -> None:
    one, other = trained(kind, tiny, SHORT), trained(kind, tiny, SHORT)
    for method in (one, other):
        method.edit(DOG)
    for a, b in zip(one.matrices(), other.matrices(), strict=True):
        torch.testing.assert_close(a.map, b.map)


@kinds
def test_networks_that_were_trained_are_taken_again_and_count_with_their_time(
    kind: type[MEND] | type[KE], tiny: ModelChoice, tmp_path: Path
) -> None:
    plan = Plan(layers=(0,), kept=tmp_path)
    methods = [kind(tiny, plan, SHORT) for _ in range(2)]
    for method in methods:
        method.fit([DOG, FOX])
    (path,) = tmp_path.iterdir()
    first, second = methods
    assert first.spared_s == 0
    with safe_open(path, "pt") as file:
        assert second.spared_s == float(file.metadata()["seconds"])
    for method in methods:
        method.edit(DOG)
    for a, b in zip(first.matrices(), second.matrices(), strict=True):
        torch.testing.assert_close(a.map, b.map)
    kind(tiny, plan, SHORT).fit([FOX])
    kind(tiny, replace(plan, seed=3), SHORT).fit([DOG, FOX])
    assert len(list(tmp_path.iterdir())) == 3, "other cases and seeds are trained for themselves"


@kinds
def test_networks_are_trained_on_cases(kind: type[MEND] | type[KE], tiny: ModelChoice) -> None:
    with pytest.raises(NothingToLearnFrom, match="outside of the test set"):
        kind(tiny).fit([])


@kinds
@pytest.mark.story
def test_the_shipped_model_learns_a_fact_that_was_not_trained_on(
    kind: type[MEND] | type[KE], shipped: ModelChoice
) -> None:
    method = kind(shipped, how=Training(rate=1e-4, edits=8, at_once=2))
    method.fit(CAPITALS)
    assert margin(method, PARIS) < 0
    method.edit(PARIS)
    assert margin(method, PARIS) > 0
