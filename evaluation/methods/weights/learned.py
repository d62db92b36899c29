"""What MEND and KE share: networks that turn a case into changes of weights, trained beforehand."""

from __future__ import annotations

import hashlib
import random
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from evaluation.methods.method import EditCase
from evaluation.methods.weights.batch import NOT_ASKED
from evaluation.methods.weights.edited import Plan, WeightEdited
from evaluation.methods.weights.keeping import Tensors
from evaluation.methods.weights.layers import Layers
from evaluation.methods.weights.shapes import Matrix
from server.errors import StartupError
from server.lm.loading import ModelChoice


class NothingToLearnFrom(StartupError):
    """No case is outside of the test set."""


@dataclass(frozen=True, slots=True)
class Training:
    """How the networks are trained: the loss and its weights are those of MEND's trainer."""

    rate: float
    """Adam's rate."""
    edits: int = 300
    """How many edits are tried; the cases are gone through again and again."""
    at_once: int = 10
    """Edits before each step of Adam."""
    edit_weight: float = 0.1
    """The weight of the new answer's loss, after another wording."""
    locality_weight: float = 1.0
    """The weight of the divergence on a prompt that has nothing to do with the edit."""
    longest_gradient: float = 100.0


class LearnedEditor(WeightEdited):
    """Networks that read a case and say what to add to matrices of the last layers.

    They are trained in `fit` on cases outside of the test set: each is edited for itself, from the
    model as it is, and the loss is taken of the model with the changes. Mitchell et al. trained
    for up to 1,000,000 edits, on a GPU. On two processor cores a few hundred are affordable, and
    `Training.edits` says how many they were.
    """

    networks: nn.Module

    def __init__(self, choice: ModelChoice, how: Training, plan: Plan | None = None) -> None:
        super().__init__(choice, plan)
        self.how = how

    @abstractmethod
    def built(self) -> nn.Module:
        """New networks for the matrices that are edited now."""

    @abstractmethod
    def changes(self, case: EditCase) -> list[torch.Tensor]:
        """What to add to the weight of each matrix, as it is stored."""

    def published_layers(self) -> Layers:
        """The last three."""
        return tuple(range(self.model.depth))[-3:]

    def matrices(self) -> list[Matrix]:
        """All matrices of the layers' MLPs."""
        found = []
        for layer in self.layers:
            found += [*self.model.into(layer), self.model.down(layer)]
        return found

    def learn(self, cases: Sequence[EditCase]) -> None:
        """Train new networks, or take those that were trained so. Raises NothingToLearnFrom."""
        if not cases:
            raise NothingToLearnFrom(
                f"{self.name} must be trained on cases outside of the test set, and there are none"
            )
        torch.manual_seed(self.plan.seed)
        self.networks = self.built().to(self.model.device)
        how = f"{self.how} {self.layers} {self.plan.seed} {cases}"
        digest = hashlib.sha256(how.encode()).hexdigest()[:16]
        name = f"{self.name.lower()}-{self.model.fingerprint}-{digest}"
        self.networks.load_state_dict(self.keeping.tensors(name, lambda: self._trained(cases)))
        self.networks.eval().requires_grad_(False)

    def _trained(self, cases: Sequence[EditCase]) -> Tensors:
        self.networks.train()
        optimizer = torch.optim.Adam(self.groups(), lr=self.how.rate)
        parameters = list(self.networks.parameters())
        for number, (case, aside) in enumerate(self._drawn(cases), 1):
            torch.autograd.backward(self.loss(case, aside) / self.how.at_once)
            if number % self.how.at_once == 0:
                nn.utils.clip_grad_norm_(parameters, self.how.longest_gradient)
                optimizer.step()
                optimizer.zero_grad()
        return {name: tensor.detach() for name, tensor in self.networks.state_dict().items()}

    def groups(self) -> list[dict[str, object]]:
        """The networks' parameters as Adam takes them; some may have a rate of their own."""
        return [{"params": list(self.networks.parameters())}]

    def edit(self, case: EditCase) -> None:
        for matrix, change in zip(self.matrices(), self.changes(case), strict=True):
            matrix.weight.detach().add_(change.detach())

    def _drawn(self, cases: Sequence[EditCase]) -> Iterator[tuple[EditCase, tuple[str, str]]]:
        """As many cases as edits are to be tried, each with a prompt that it must leave alone."""
        rng = random.Random(self.plan.seed)
        order: list[EditCase] = []
        for _ in range(self.how.edits):
            if not order:
                order = rng.sample(cases, len(cases))
            case, other = order.pop(), rng.choice(cases)
            if case.other_subjects:
                probe = rng.choice(case.other_subjects)
                yield case, (probe.prompt, probe.answer)
            else:
                yield case, (other.prompt, other.target_true)

    def loss(self, case: EditCase, aside: tuple[str, str]) -> torch.Tensor:
        """The new answer's loss after another wording, and what else changed, after an edit."""
        wording = case.paraphrases[0] if case.paraphrases else case.prompt
        batch = self.model.batch((wording, case.target_new), aside)
        with torch.no_grad():
            before = self.model.logits(batch)[1].log_softmax(-1)
        matrices = self.matrices()
        edited = {
            name: matrix.weight + change
            for name, matrix, change in zip(
                self.model.names(matrices), matrices, self.changes(case), strict=True
            )
        }
        logits = self.model.logits(batch, edited)
        asked = batch.targets[1] != NOT_ASKED
        after = logits[1].log_softmax(-1)
        moved = F.kl_div(after[asked], before[asked], log_target=True, reduction="batchmean")
        return self.how.edit_weight * batch.losses(logits)[0] + self.how.locality_weight * moved
