"""All methods, as the runner sees them."""

from __future__ import annotations

import pytest

from evaluation.methods.method import Method
from evaluation.methods.weights.catalog import WEIGHT_METHODS
from evaluation.methods.weights.edited import Plan
from server.lm.loading import ModelChoice
from tests.evaluation.methods.weights.cases import DOG, changed, names, weights

HEADS = {"lm_head.weight", "model.embed_tokens.weight", "transformer.wte.weight"}


@pytest.mark.parametrize("name", WEIGHT_METHODS)
def test_a_method_is_what_its_name_says_and_never_edits_the_head(
    name: str, tiny: ModelChoice
) -> None:
    made = WEIGHT_METHODS[name](tiny, Plan(layers=(1,)))
    method: Method = made
    assert method.name == name
    assert not names(made) & HEADS
    before = weights(made)
    assert HEADS & before.keys()
    assert all(layer < made.model.depth for layer in made.published_layers())
    if name not in ("MEND", "KE"):  # these are trained: test_learned.py
        method.fit([])
        method.edit(DOG)
        assert not changed(made, before) & HEADS
    assert method.logprob("The dog", "likes meat").total < 0
    assert isinstance(method.generate("The dog"), str)
    method.close()
