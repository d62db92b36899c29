"""Knowledge neurons."""

from __future__ import annotations

import pytest
import torch

from evaluation.methods.weights.edited import Plan
from evaluation.methods.weights.neurons import KN, Attribution
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


def parts(method: KN) -> tuple[tuple[int, ...], int, int]:
    """The tokens of DOG's prompt, the first one of its new answer, and what the model says now."""
    sequence = method.model.sequence(DOG.prompt, DOG.target_new)
    prompt, new = sequence.tokens[: sequence.scored_from], sequence.tokens[sequence.scored_from]
    with torch.no_grad():
        logits = method.model.model(input_ids=torch.tensor([prompt])).logits
    return prompt, new, int(logits[0, -1].argmax())


def test_an_edit_changes_only_the_values_of_the_facts_neurons(tiny: ModelChoice) -> None:
    method = KN(tiny)
    prompt, new, old = parts(method)
    activations, attributions = method.attributed(prompt, old)
    before = weights(method)
    maps = [matrix.map.clone() for matrix in method.matrices()]
    method.edit(DOG)
    assert changed(method, before) <= names(method)
    head = method.model.model.get_output_embeddings().weight
    is_found = attributions >= 0.2 * attributions.max()
    assert 0 < is_found.sum() < is_found.numel()
    for number, matrix in enumerate(method.matrices()):
        moved = matrix.map - maps[number]
        assert torch.equal(moved.abs().sum(0) > 0, is_found[number])
        for neuron in is_found[number].nonzero().flatten():
            expected = 2 * (head[new] - head[old]) * activations[number, neuron].sign()
            torch.testing.assert_close(moved[:, neuron], expected, atol=1e-6, rtol=1e-4)
    assert_not_differentiated(method)


def test_attributions_add_up_to_what_the_neurons_do_for_the_answer(tiny: ModelChoice) -> None:
    """Integrated gradients are complete: their sum is P(token) with the neurons minus without."""
    method = KN(tiny, Plan(layers=(1,)), Attribution(steps=200))
    prompt, _, old = parts(method)
    _, attributions = method.attributed(prompt, old)
    module = method.model.down(1).module

    def logits_without(_module: torch.nn.Module, given: tuple[torch.Tensor]) -> torch.Tensor:
        return torch.cat([given[0][:, :-1], torch.zeros_like(given[0][:, -1:])], 1)

    ids = torch.tensor([prompt])
    with torch.no_grad():
        whole = method.model.model(input_ids=ids).logits[0, -1].softmax(-1)[old]
        handle = module.register_forward_pre_hook(logits_without)
        without = method.model.model(input_ids=ids).logits[0, -1].softmax(-1)[old]
        handle.remove()
    assert attributions.sum().item() == pytest.approx((whole - without).item(), rel=0.02, abs=1e-6)


def test_the_new_answers_first_token_becomes_likelier(tiny: ModelChoice) -> None:
    method = KN(tiny, Plan(layers=(1,)), Attribution(erased=20, written=20))
    before = method.logprob(DOG.prompt, DOG.target_new).logprobs[0]
    method.edit(DOG)
    assert method.logprob(DOG.prompt, DOG.target_new).logprobs[0] > before


def test_only_the_named_layers_are_searched(llama: ModelChoice) -> None:
    method = KN(llama, Plan(layers=(1, 3)))
    before = weights(method)
    method.edit(DOG)
    assert changed(method, before) <= names(method)
    assert len(names(method)) == 2


@pytest.mark.story
def test_the_shipped_model_learns_a_fact(shipped: ModelChoice) -> None:
    method = KN(shipped, Plan(layers=(10, 15, 20, 25)))
    assert margin(method, PARIS) < 0
    method.edit(PARIS)
    assert margin(method, PARIS) > 0
