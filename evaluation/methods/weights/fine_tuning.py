"""Fine-tuning of one matrix on each case: FT, and FT-L with a bound on each weight's change."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from evaluation.methods.method import EditCase
from evaluation.methods.weights.edited import Plan, WeightEdited
from evaluation.methods.weights.layers import Layers
from server.lm.loading import ModelChoice


@dataclass(frozen=True, slots=True)
class FineTuning:
    """The published hyperparameters (kmeng01/rome, hparams/FT)."""

    rate: float = 5e-4
    steps: int = 25
    enough: float = 1e-2
    """No more steps once the loss is below this, in nats a token."""


class FT(WeightEdited):
    """Full fine-tuning of the last matrix of one layer's MLP, on one case at a time.

    Paper: the baseline FT of Meng et al. 2022, "Locating and Editing Factual Associations in GPT"
    (ROME), appendix E.1; code: kmeng01/rome, baselines/ft. It minimizes the negative
    log-likelihood of the new answer with Adam. Published: rate 5e-4, 25 steps, stop below 1e-2,
    layer 1 of 48 (GPT-2 XL).

    Ours differs in one thing: their code compares each token of the answer with the distribution
    after the prompt. Ours reads the answer's tokens before, as they are read when it is asked, so
    that answers of several tokens can be learned.
    """

    name = "FT"

    def __init__(
        self, choice: ModelChoice, plan: Plan | None = None, how: FineTuning | None = None
    ) -> None:
        super().__init__(choice, plan)
        self.how = how or FineTuning()

    def published_layers(self) -> Layers:
        return (self.at_depth(1, of=48),)

    def edit(self, case: EditCase) -> None:
        matrices = self.matrices()
        batch = self.model.batch((case.prompt, case.target_new))
        with self.model.differentiated(matrices):
            optimizer = torch.optim.Adam([matrix.weight for matrix in matrices], lr=self.how.rate)
            for _ in range(self.how.steps):
                loss = batch.losses(self.model.logits(batch)).mean()
                if loss < self.how.enough:
                    break
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                self.confine()

    def confine(self) -> None:
        """What is done to the weights after each step."""


class FTL(FT):
    """FT, with every weight within a bound of what it was before the edit.

    Paper: FT+L of Meng et al. 2022, appendix E.1, after Zhu et al. 2020, "Modifying Memories in
    Transformer Models": the L-infinity norm of an edit's change is at most 2e-3 (GPT-2 medium; the
    published bounds shrink as models grow), layer 0. Otherwise as FT. Edits add up, as theirs
    would: each one's bound is around the weights that it finds.
    """

    name = "FT-L"
    bound = 2e-3

    def published_layers(self) -> Layers:
        return (0,)

    def edit(self, case: EditCase) -> None:
        self._before = [matrix.weight.detach().clone() for matrix in self.matrices()]
        super().edit(case)
        del self._before

    def confine(self) -> None:
        for matrix, before in zip(self.matrices(), self._before, strict=True):
            matrix.weight.detach().clamp_(before - self.bound, before + self.bound)
