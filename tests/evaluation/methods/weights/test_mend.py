"""The decomposition that MEND's networks read."""

from __future__ import annotations

import torch

from evaluation.methods.weights.edited import Plan
from evaluation.methods.weights.mend import MEND
from server.lm.loading import ModelChoice
from tests.evaluation.methods.weights.cases import DOG, assert_not_differentiated


def test_the_factors_make_up_the_gradient(tiny: ModelChoice) -> None:
    method = MEND(tiny, Plan(layers=(0, 1)))
    matrices = method.matrices()
    batch = method.model.batch((DOG.prompt, DOG.target_new))
    with method.model.differentiated(matrices):
        loss = batch.losses(method.model.logits(batch)).mean()
        gradients = torch.autograd.grad(loss, [matrix.weight for matrix in matrices])
    factors = method.factors(DOG)
    assert_not_differentiated(method)
    for matrix, gradient, (keys, values) in zip(matrices, gradients, factors, strict=True):
        assert len(keys) == len(values) <= batch.ids.numel()
        found = matrix.oriented(values.T @ keys)
        torch.testing.assert_close(found, gradient, atol=1e-6, rtol=1e-4)
