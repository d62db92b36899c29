"""What is said about one case, and what is said about many.

Efficacy and Paraphrase are coded as in ROME (Meng et al. 2022): a case is won if the new answer's
mean token negative log-likelihood is below the true answer's, strictly. A tie is lost. The paper's
own wording is a second column: after the edits, is the new answer likelier than the answer that the
same system gave before any edit?
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evaluation.methods.method import TargetLogprob

CHANCE = 0.5
NEAR_CHANCE = 0.05
"""A mean this near to CHANCE, or nearer than two standard errors, is called chance."""
EFFICACY, PARAPHRASE = COMPARISONS = ("efficacy", "paraphrase")
"""The metrics that a system wins half of the time by guessing."""
SUCCESS = (
    *COMPARISONS,
    "efficacy, paper",
    "paraphrase, paper",
    "generated",
    "paraphrase generated",
)
KEPT = ("other subjects kept", "same subject kept")
METRICS = (*SUCCESS, *KEPT, "token accuracy")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a system says to one prompt, compared with what it should say."""

    new: TargetLogprob
    true: TargetLogprob
    before: TargetLogprob | None
    """The answer that was given before any edit; None where that was empty."""
    answer: str
    """The greedy answer."""
    says_new: bool
    """Whether the generated answer is the new one."""

    @property
    def prefers_new(self) -> bool:
        """ROME's comparison."""
        return self.new.mean_nll < self.true.mean_nll

    @property
    def beats_before(self) -> bool:
        """The paper's wording. A system that gave no answer before is beaten by any."""
        return self.before is None or self.new.mean_nll < self.before.mean_nll

    @property
    def token_accuracy(self) -> float:
        """The share of the new answer's tokens that are the likeliest, each after the right ones.

        It is no success: a system can have it without ever giving the answer.
        """
        return sum(self.new.is_greedy) / len(self.new.is_greedy)


def of_case(
    prompt: Asked,
    paraphrases: Sequence[Asked],
    others_kept: Sequence[bool],
    same_kept: Sequence[bool],
) -> dict[str, float | None]:
    """The case's metrics, each a mean within the case; None where nothing was asked."""
    values = (
        float(prompt.prefers_new),
        _mean(p.prefers_new for p in paraphrases),
        float(prompt.beats_before),
        _mean(p.beats_before for p in paraphrases),
        float(prompt.says_new),
        _mean(p.says_new for p in paraphrases),
        _mean(others_kept),
        _mean(same_kept),
        prompt.token_accuracy,
    )
    return dict(zip(METRICS, values, strict=True))


def _mean(values: Iterable[float]) -> float | None:
    asked = list(values)
    return statistics.fmean(asked) if asked else None


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over cases, and over seeds."""

    mean: float
    cases: int
    """Of all seeds together."""
    deviation: float
    """The standard deviation over the cases of all seeds."""
    seeds: int
    seed_deviation: float
    """The standard deviation of the seeds' means; NaN with one seed."""

    @property
    def error(self) -> float:
        """The standard error of the mean over cases."""
        return self.deviation / math.sqrt(self.cases) if self.cases else math.nan

    @property
    def is_chance(self) -> bool:
        """Whether a coin would do as well: half is within two standard errors, or very near."""
        return abs(self.mean - CHANCE) <= max(NEAR_CHANCE, 2 * self.error)


def figure(of_seeds: Iterable[Iterable[float | None]]) -> Figure | None:
    """The figure of one metric from the cases of each seed; None where no case has it.

    The mean is over the cases of all seeds.
    """
    known = list(filter(None, map(_known, of_seeds)))
    every = [value for values in known for value in values]
    if not every:
        return None
    means = list(map(statistics.fmean, known))
    return Figure(
        mean=statistics.fmean(every),
        cases=len(every),
        deviation=statistics.stdev(every) if len(every) > 1 else math.nan,
        seeds=len(known),
        seed_deviation=statistics.stdev(means) if len(means) > 1 else math.nan,
    )
