"""Beginnings that are read once, compared with whole texts."""

from __future__ import annotations

import pytest
import torch

from evaluation.methods.weights.model import EditableModel
from evaluation.methods.weights.prefilled import Prefilled, added, watched
from server.lm.loading import ModelChoice

TEXTS = [("The lazy dog", "likes meat"), ("I", "dog"), ("Where is the quick brown fox of", "it")]


@pytest.fixture(scope="module")
def model(tiny: ModelChoice) -> EditableModel:
    return EditableModel(tiny)


@pytest.mark.parametrize("at", [(1, 0, 4), (0, 0, 0), (2, 0, 1)])
def test_logits_are_those_of_whole_texts(model: EditableModel, at: tuple[int, ...]) -> None:
    sequences = [model.sequence(*text) for text in TEXTS]
    prefilled = Prefilled(model, sequences, at)
    for _ in range(2):  # a pass leaves nothing behind
        found = prefilled.batch.losses(prefilled.logits())
        whole = model.batch(*TEXTS)
        torch.testing.assert_close(found, whole.losses(model.logits(whole)), atol=1e-5, rtol=0)


def test_what_is_added_acts_at_each_sequences_place_and_can_be_learned(
    model: EditableModel,
) -> None:
    sequences = [model.sequence(*text) for text in TEXTS]
    at = [sequence.scored_from - 1 for sequence in sequences]
    prefilled = Prefilled(model, sequences, at)
    module = model.down(0).module
    with torch.no_grad(), watched(module) as seen:
        plain = prefilled.batch.losses(prefilled.logits())
    delta = torch.zeros_like(seen.out[0], requires_grad=True)
    with added(module, delta), watched(module) as again:
        losses = prefilled.batch.losses(prefilled.logits())
    torch.testing.assert_close(losses.detach(), plain)
    torch.testing.assert_close(again.out, seen.out)
    losses.sum().backward()  # type: ignore[no-untyped-call]
    assert delta.grad is not None and delta.grad.abs().max() > 0
    ramp = torch.arange(len(delta)).float()
    with added(module, ramp), watched(module) as again:
        assert not torch.allclose(prefilled.batch.losses(prefilled.logits()), plain)
    torch.testing.assert_close(again.out, seen.out + ramp)
    whole = model.model(input_ids=torch.tensor([sequences[0].tokens]), use_cache=False)
    assert whole.logits.grad_fn is None
