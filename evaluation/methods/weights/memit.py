"""MEMIT: a fact's value is spread over the matrices of several layers."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from evaluation.methods.method import EditCase
from evaluation.methods.weights.edited import Plan
from evaluation.methods.weights.layers import Layers
from evaluation.methods.weights.prefilled import watched
from evaluation.methods.weights.rome import ROME, RankOne
from evaluation.methods.weights.values import Descent, contextualized, value_change
from server.lm.loading import ModelChoice


@dataclass(frozen=True, slots=True)
class Spread(RankOne):
    """The published hyperparameters (zjunlp/EasyEdit, hparams/MEMIT/gpt2-xl.yaml)."""

    descent: Descent = field(default_factory=lambda: Descent(clamp=0.75))
    trust: float = 20_000 / 6_400
    """The weight λ of the keys that the model knows, for each entry of a key."""


class MEMIT(ROME):
    """Mass-Editing Memory in a Transformer, with one fact at a time.

    Paper: Meng et al. 2023, "Mass-Editing Memory in a Transformer", equation 14 and algorithm 1;
    code: kmeng01/memit, and zjunlp/EasyEdit, easyeditor/models/memit. The state z that makes the
    model say the new answer is found as in ROME, at the output of the last of the layers. Then each
    layer's matrix takes its share of what is still missing: W' = W + r kᵀ (λ C + k kᵀ)⁻¹, where
    r is the rest over the number of layers that are left. k is the mean of the prompt's own key and
    the mean over the prefixes. Published for GPT-2 XL: layers 13 to 17 of 48, λ 20,000, clamp 0.75,
    20 steps, rate 0.5, weight decay 0.5, KL 0.0625, five prefixes of 10 tokens.

    Ours differs in C, as ROME's does, and in λ, which keeps its ratio to the width of a key (6,400
    in GPT-2 XL), because kᵀ C⁻¹ k grows with the width. Edits come one by one as in KGT's protocol,
    where MEMIT is made for thousands at once.
    """

    how: Spread

    def __init__(
        self, choice: ModelChoice, plan: Plan | None = None, how: Spread | None = None
    ) -> None:
        super().__init__(choice, plan, how or Spread())

    @property
    def name(self) -> str:  # type: ignore[override]
        """The row in the tables."""
        return "MEMIT"

    def published_layers(self) -> Layers:
        first, last = self.at_depth(13, of=48), self.at_depth(17, of=48)
        return tuple(range(first, last + 1))

    def edit(self, case: EditCase) -> None:
        top = self.model.layer(self.layers[-1])
        with torch.no_grad(), watched(top) as seen:
            contextualized(self.model, case, self.contexts[:1], case.target_new).logits()
        change = value_change(self.model, top, case, self.contexts, self.how.descent)
        wanted = seen.out[0] + change
        for number, layer in enumerate(self.layers):
            matrix = self.model.down(layer)
            with torch.no_grad(), watched(matrix.module) as keys, watched(top) as now:
                contextualized(self.model, case, self.contexts, case.target_new).logits()
            rest = (wanted - now.out[0]) / (len(self.layers) - number)
            direction = self.direction(layer, self.mean_key(keys.given))
            matrix.map.add_(torch.outer(rest, direction))

    def mean_key(self, keys: torch.Tensor) -> torch.Tensor:
        """keys are those of the prompt after each prefix: (prefixes, width)."""
        return (keys[0] + keys[1:].mean(0)) / 2

    def direction(self, layer: int, key: torch.Tensor) -> torch.Tensor:
        """(λ C + k kᵀ)⁻¹ k, by the inverse of C alone (Sherman and Morrison)."""
        scaled = self.inverse[layer] @ key / (self.how.trust * len(key))
        return scaled / (1 + key @ scaled)
