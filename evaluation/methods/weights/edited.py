"""What all methods share that change a model's weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file

from evaluation.methods.method import EditCase, TargetLogprob
from evaluation.methods.plain import ANSWER_TOKENS
from evaluation.methods.weights.keeping import Keeping, write_whole
from evaluation.methods.weights.layers import Layers
from evaluation.methods.weights.model import EditableModel
from evaluation.methods.weights.shapes import Matrix
from server.lm.loading import ModelChoice


@dataclass(frozen=True, slots=True)
class Plan:
    """Which layers a method edits, and how it prepares."""

    layers: Layers = ()
    """The layers to edit, counted from 0; none: those of the paper, at the same relative depth."""
    seed: int = 17
    kept: Path | None = None
    """Where what a method learns is kept for later runs: texts that the model wrote, covariances,
    trained networks. None: nowhere."""
    answer_tokens: int = ANSWER_TOKENS
    """The most tokens of an answer."""


class Asked:
    """A model that is asked as it is, with no graph and no edits."""

    name = "no graph"

    def __init__(self, choice: ModelChoice, plan: Plan | None = None) -> None:
        self.model = EditableModel(choice)
        self.plan = plan or Plan()

    def fit(self, cases: Sequence[EditCase]) -> None:
        """Nothing needs to be learned."""

    def edit(self, case: EditCase) -> None:
        """Nothing changes."""

    def logprob(self, prompt: str, target: str) -> TargetLogprob:
        """The probability of `target` after `prompt`, with all edits so far."""
        return self.model.logprobs([(prompt, target)])[0]

    def logprobs(self, pairs: Sequence[tuple[str, str]]) -> list[TargetLogprob]:
        """What `logprob` says of each (prompt, target), in batches."""
        return self.model.logprobs(pairs)

    def generate(self, prompt: str) -> str:
        """The greedy answer to `prompt`, with all edits so far."""
        return self.model.generate(prompt, self.plan.answer_tokens)

    def close(self) -> None:
        """Let go of the weights."""
        del self.model


class WeightEdited(Asked, ABC):
    """A model whose weights are changed by each edit, for good: those of `layers`."""

    def __init__(self, choice: ModelChoice, plan: Plan | None = None) -> None:
        super().__init__(choice, plan)
        self.layers = self.plan.layers or self.published_layers()
        self.keeping = Keeping(self.plan.kept)

    @property
    def spared_s(self) -> float:
        """How long it once took to learn what `fit` found in files."""
        return self.keeping.spared_s

    def fit(self, cases: Sequence[EditCase]) -> None:
        """Learn what the method needs for its layers."""
        self.learn(cases)

    def at_depth(self, layer: int, of: int) -> int:
        """The layer of this model that is as deep as `layer` is in a model with `of` layers."""
        return min(round(layer * self.model.depth / of), self.model.depth - 1)

    @abstractmethod
    def published_layers(self) -> Layers:
        """The paper's layers, at the same relative depth in this model."""

    def learn(self, cases: Sequence[EditCase]) -> None:
        """Prepare for editing `layers`. Many methods need nothing."""

    def matrices(self) -> list[Matrix]:
        """The matrices that edits write to: by default, the last one of each layer's MLP."""
        return [self.model.down(layer) for layer in self.layers]

    @abstractmethod
    def edit(self, case: EditCase) -> None:
        """Change one fact, for good."""

    def save(self, path: Path) -> None:
        """Write the matrices with all edits so far."""
        matrices = self.matrices()
        weights = [matrix.weight.detach().cpu() for matrix in matrices]
        write_whole(path, dict(zip(self.model.names(matrices), weights, strict=True)))

    def restore(self, path: Path) -> None:
        """Take the matrices that were saved."""
        saved = load_file(path)
        matrices = self.matrices()
        for name, matrix in zip(self.model.names(matrices), matrices, strict=True):
            matrix.weight.detach().copy_(saved[name])
