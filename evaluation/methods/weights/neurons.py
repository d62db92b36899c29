"""Knowledge neurons: the neurons that express a fact are found, and what they say is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from evaluation.methods.method import EditCase
from evaluation.methods.weights.edited import Plan, WeightEdited
from evaluation.methods.weights.layers import Layers
from evaluation.methods.weights.prefilled import Prefilled, watched
from server.lm.loading import ModelChoice
from server.lm.packing import TokenSequence


@dataclass(frozen=True, slots=True)
class Attribution:
    """The published hyperparameters (kmeng01/rome, hparams/KN)."""

    steps: int = 20
    """Points of the integral, all read in one batch."""
    threshold: float = 0.2
    """The share of the largest attribution from which on a neuron counts."""
    erased: float = 2.0
    """How much of the old answer's embedding is taken off."""
    written: float = 2.0
    """How much of the new answer's embedding is put on."""


class KN(WeightEdited):
    """Knowledge Neurons: W[:, n] -= 2 e(old), W[:, n] += 2 e(new) for each neuron n of the fact.

    Paper: Dai et al. 2022, "Knowledge Neurons in Pretrained Transformers", equation 4 (integrated
    gradients) and section 5.2 (updating facts); code: Hunter-DDM/knowledge-neurons, and for
    decoders kmeng01/rome, baselines/kn. A neuron's attribution is its activation w times the
    integral of dP(old answer)/dw from 0 to w, at the prompt's last token. Published: 20 steps in a
    batch of 20, neurons from 0.2 of the largest attribution, p 0.4.

    p, the share of a fact's prompts that must agree on a neuron, decides nothing here: an edit has
    one prompt. The paper of KGT restricts the layers to save time; `Plan.layers` does, and without
    it all are searched.

    Ours differs in three things. The old answer is what the model itself says next, because a user
    gives only the new one. Both answers are represented by their first token, with its leading
    space, and by its row in the head, which is the embedding where the two are tied. In a Llama a
    neuron's activation may be negative, and then the signs are turned.
    """

    name = "KN"

    def __init__(
        self, choice: ModelChoice, plan: Plan | None = None, how: Attribution | None = None
    ) -> None:
        super().__init__(choice, plan)
        self.how = how or Attribution()

    def published_layers(self) -> Layers:
        return tuple(range(self.model.depth))

    def edit(self, case: EditCase) -> None:
        sequence = self.model.sequence(case.prompt, case.target_new)
        prompt = sequence.tokens[: sequence.scored_from]
        new = sequence.tokens[sequence.scored_from]
        with torch.no_grad():
            old = int(self._prefilled(prompt, 1).logits()[0, -1].argmax())
        if old == new:
            return
        activations, attributions = self.attributed(prompt, old)
        head = self.model.model.get_output_embeddings().weight.detach()
        replaced = self.how.written * head[new] - self.how.erased * head[old]  # (width,)
        found = attributions >= self.how.threshold * attributions.max()
        for number, layer in enumerate(self.layers):
            neurons = found[number]
            signs = activations[number, neurons].sign()
            self.model.down(layer).map[:, neurons] += torch.outer(replaced, signs)

    def attributed(self, prompt: tuple[int, ...], token: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Each neuron's activation after the prompt, and its share in P(token): both
        (layers, neurons)."""
        modules = [matrix.module for matrix in self.matrices()]
        with torch.no_grad(), ExitStack() as stack:
            seen = [stack.enter_context(watched(module)) for module in modules]
            self._prefilled(prompt, 1).logits()
        activations = torch.cat([one.given for one in seen])  # (layers, neurons)
        repeated = self._prefilled(prompt, self.how.steps)
        shares = torch.linspace(0, 1, self.how.steps, device=self.model.device)
        gradients = []
        for module, activation in zip(modules, activations, strict=True):
            scaled = torch.outer(shares, activation).requires_grad_()  # (steps, neurons)
            with _given(module, scaled):
                probabilities = repeated.logits()[:, -1].softmax(-1)[:, token]
            gradients.append(torch.autograd.grad(probabilities.sum(), scaled)[0].mean(0))
        return activations, activations * torch.stack(gradients)

    def _prefilled(self, prompt: tuple[int, ...], times: int) -> Prefilled:
        """The prompt side by side, up to its last token. What follows is not asked for."""
        asked = TokenSequence((*prompt, 0), len(prompt))
        return Prefilled(self.model, [asked] * times, [len(prompt) - 1] * times)


@contextmanager
def _given(module: nn.Module, given: torch.Tensor) -> Iterator[None]:
    """Within, the module reads `given` (sequences, width) at each sequence's index 0."""

    def replace(_module: nn.Module, before: Any) -> Any:
        return (torch.cat([given[:, None], before[0][:, 1:]], 1),)

    handle = module.register_forward_pre_hook(replace)
    try:
        yield
    finally:
        handle.remove()
