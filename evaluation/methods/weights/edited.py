"""What all methods share that change a model's weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.methods.method import EditCase, TargetLogprob
from evaluation.methods.plain import ANSWER_TOKENS
from evaluation.methods.weights.model import EditableModel
from evaluation.methods.weights.shapes import Matrix
from evaluation.methods.weights.sweep import Tried, sweep
from server.lm.loading import ModelChoice

Layers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which layers a method edits, and how it prepares."""

    layers: Layers = ()
    """The layers to edit, counted from 0; none: those of the paper, at the same relative depth."""
    candidates: tuple[Layers, ...] = ()
    """Layers to try in `fit`, which keeps the best; none: `layers` are not in question."""
    sweep_cases: int = 20
    """On so many cases outside of the test set each of the candidates is tried."""
    seed: int = 17
    kept: Path | None = None
    """Where texts that the model wrote are kept for the next method; None: nowhere."""
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
    """A model whose weights are changed by each edit, for good.

    `layers` are those that are edited; after a sweep, `tried` has what was compared.
    """

    def __init__(self, choice: ModelChoice, plan: Plan | None = None) -> None:
        super().__init__(choice, plan)
        self.layers = self.plan.layers or self.published_layers()
        self.tried: list[Tried] = []

    def fit(self, cases: Sequence[EditCase]) -> None:
        """Choose the layers, if several are in question, and learn what the method needs.

        The cases that choose the layers are not learned from.
        """
        if self.plan.candidates:
            held_out, cases = cases[: self.plan.sweep_cases], cases[self.plan.sweep_cases :]
            self.tried = sweep(self, self.plan.candidates, cases, held_out)
            self.layers = self.tried[0].layers
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
