"""Which layers a method edits best, found on cases outside of the test set.

The paper tests "several specifications of layers to edit" and reports the best (section 5.1).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from evaluation.methods.method import EditCase, UneditableCase
from evaluation.methods.weights.edited import WeightEdited
from evaluation.methods.weights.layers import Layers
from server.errors import KgtError


@dataclass(frozen=True, slots=True)
class Tried:
    """How well edits of some layers took, after all of them: shares of cases, and a mean in nats.

    `margin` is by how much a token of the new answer was likelier than one of the old, and
    decides where the shares are equal.
    """

    layers: Layers
    efficacy: float
    paraphrase: float
    margin: float

    @property
    def rank(self) -> tuple[float, float]:
        """Higher is better."""
        return self.efficacy + self.paraphrase, self.margin


def tried(
    method: WeightEdited,
    layers: Layers,
    to_learn: Sequence[EditCase],
    held_out: Sequence[EditCase],
) -> Tried:
    """Try some layers. The weights are the same after it.

    The method learns from `to_learn`, then edits all of `held_out` one after the other, and is
    asked at the end. A case that it cannot edit stays as it is.
    """
    if not held_out:
        raise ValueError("a sweep over layers needs cases outside of the test set")
    method.layers = layers
    method.learn(to_learn)
    with method.model.restored(method.matrices()):
        for case in held_out:
            with contextlib.suppress(UneditableCase, KgtError):
                method.edit(case)
        return _asked(method, held_out)


def best(found: Sequence[Tried]) -> Tried:
    """The one whose edits took best; of equal ones the first."""
    return max(found, key=lambda one: one.rank)


def _asked(method: WeightEdited, cases: Sequence[EditCase]) -> Tried:
    prompts = [_margins(method, case, [case.prompt]) for case in cases]
    rephrased = [_margins(method, case, case.paraphrases) for case in cases if case.paraphrases]
    everything = [margin for margins in prompts + rephrased for margin in margins]
    return Tried(method.layers, _share(prompts), _share(rephrased), fmean(everything))


def _margins(method: WeightEdited, case: EditCase, prompts: Sequence[str]) -> list[float]:
    """By how much the new answer is likelier than the old, after each prompt."""
    targets = (case.target_new, case.target_true)
    found = method.logprobs([(prompt, target) for prompt in prompts for target in targets])
    return [old.mean_nll - new.mean_nll for new, old in zip(found[::2], found[1::2], strict=True)]


def _share(cases: Sequence[Sequence[float]]) -> float:
    """The share of successes: the mean within each case, then over the cases."""
    shares = [fmean(_is_likelier(margins)) for margins in cases]
    return fmean(shares) if shares else 0.0


def _is_likelier(margins: Sequence[float]) -> list[bool]:
    return [margin > 0 for margin in margins]
