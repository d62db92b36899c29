"""ROME and r-ROME: a fact is one key and one value in one matrix, and an edit has rank one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from evaluation.methods.method import EditCase
from evaluation.methods.weights.edited import Plan, WeightEdited
from evaluation.methods.weights.layers import Layers
from evaluation.methods.weights.prefilled import watched
from evaluation.methods.weights.sampling import prefixes, second_moments, texts_for
from evaluation.methods.weights.values import Descent, contextualized, value_change
from server.lm.loading import ModelChoice


@dataclass(frozen=True, slots=True)
class RankOne:
    """How keys and values are found; the defaults are those published for GPT-2 medium."""

    descent: Descent = field(default_factory=Descent)
    prefixes: tuple[tuple[int, int], ...] = ((10, 5),)
    """Random prefixes as (tokens, count): MEMIT's. ROME's are ((5, 10), (10, 10))."""
    tokens_per_neuron: int = 10
    """So many tokens are sampled for each key's entry; 0 takes the identity for their covariance,
    which shows what the sampled one is worth."""


class ROME(WeightEdited):
    """Rank-One Model Editing: W' = W + Λ (C⁻¹ k)ᵀ in the last matrix of one layer's MLP.

    Paper: Meng et al. 2022, "Locating and Editing Factual Associations in GPT", equations 2 to 4;
    code: kmeng01/rome, rome/. k is the key at the subject's last token, the mean over the prompt
    and random prefixes (eq. 3). The value v is found by Adam (eq. 4). Λ makes the prompt's own key
    give v (eq. 2). Published for a model of 24 layers (GPT-2 medium): layer 8, 20 steps, rate 0.5,
    weight decay 0.5, clamp 3, KL 0.0625, ten prefixes of 5 tokens and ten of 10, which the model
    samples.

    Ours differs in C, the covariance of keys, which they take from 100,000 samples of Wikipedia.
    Here the model samples the texts itself, ten tokens for each entry of a key; "ROME (C = I)"
    shows what an edit is worth without them. A thousandth of the mean variance is added to C's
    diagonal. Ours has five prefixes of 10 tokens, as MEMIT has: an edit takes a quarter of the
    time. What comes before the subject's last token is read once and not in every step, which
    gives the same values in a fraction of the time.
    """

    def __init__(
        self, choice: ModelChoice, plan: Plan | None = None, how: RankOne | None = None
    ) -> None:
        super().__init__(choice, plan)
        self.how = how or RankOne()
        self.contexts: list[str] = []
        self.inverse: dict[int, torch.Tensor] = {}

    @property
    def name(self) -> str:  # type: ignore[override]
        """The row in the tables, which says if the covariance is left out."""
        return "ROME" if self.how.tokens_per_neuron else "ROME (C = I)"

    def published_layers(self) -> Layers:
        return (self.at_depth(8, of=24),)

    def learn(self, cases: Sequence[EditCase]) -> None:
        """Sample the prefixes, and the covariance of the keys of each layer. Needs no cases."""
        if not self.contexts:
            sampled_ones = prefixes(self.model, self.how.prefixes, self.plan.seed)
            self.contexts = ["", *sampled_ones]
        missing = [layer for layer in self.layers if layer not in self.inverse]
        if missing:
            self.inverse |= dict(zip(missing, self._inverses(missing), strict=True))

    def edit(self, case: EditCase) -> None:
        for layer in self.layers:
            self._edit(case, layer)

    def _edit(self, case: EditCase, layer: int) -> None:
        matrix = self.model.down(layer)
        with torch.no_grad(), watched(matrix.module) as seen:
            contextualized(self.model, case, self.contexts, case.target_new).logits()
        mean_key = seen.given.mean(0)
        direction = self.inverse[layer] @ mean_key
        key, value = self.written(seen.given, seen.out)
        change = value_change(self.model, matrix.module, case, self.contexts, self.how.descent)
        wanted = seen.out[0] + change
        matrix.map.add_(torch.outer((wanted - value) / (key @ direction), direction))

    def written(
        self, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The key that an edit gives its value, and the value that it has.

        keys and values are those of the prompt after each prefix: (prefixes, width).
        """
        return keys[0], values[0]

    def _inverses(self, layers: Sequence[int]) -> list[torch.Tensor]:
        """C⁻¹ of the keys of each layer: (keys, keys)."""
        neurons = self.model.down(layers[0]).map.shape[1]
        wanted = self.how.tokens_per_neuron * neurons
        if not wanted:
            return [torch.eye(neurons, device=self.model.device)] * len(layers)
        numbers = "-".join(map(str, layers))
        name = f"inverse-{self.model.fingerprint}-{wanted}-{self.plan.seed}-layers-{numbers}"
        found = self.keeping.tensors(name, lambda: self._inverse_covariances(layers, wanted))
        return [found[str(layer)].to(self.model.device) for layer in layers]

    def _inverse_covariances(self, layers: Sequence[int], tokens: int) -> dict[str, torch.Tensor]:
        texts = texts_for(self.model, tokens, self.plan.seed, self.keeping)
        matrices = [self.model.down(layer) for layer in layers]
        covariances = second_moments(self.model, matrices, texts)
        for covariance in covariances:
            covariance.diagonal().add_(1e-3 * covariance.diagonal().mean())
        inverses = [covariance.inverse().float() for covariance in covariances]
        return dict(zip(map(str, layers), inverses, strict=True))


class RROME(ROME):
    """r-ROME: ROME with the averaged key in every place, so that edits one by one do less harm.

    Paper: Gupta, Baskaran and Anumanchipalli 2024, "Rebuilding ROME: Resolving Model Collapse
    during Sequential Model Editing", equation 4; code: zjunlp/EasyEdit, easyeditor/models/r_rome.
    ROME's code derives the direction from the mean key and scales by the key of the prompt alone;
    where the two hardly overlap, the edit is huge and the model collapses. Here W' gives the value
    to the mean key. Hyperparameters and differences are ROME's.
    """

    @property
    def name(self) -> str:  # type: ignore[override]
        """The row in the tables."""
        return "r-ROME"

    def written(
        self, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return keys.mean(0), values.mean(0)
