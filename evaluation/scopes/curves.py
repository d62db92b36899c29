"""What each choice of thresholds makes of the probes that were weighed.

As in the service (server.tuning.retrieval), a fact counts for a query if their keys' inner product
is at least the floor and either at least `sure`, or the query mentions the name that the fact is
about, if any, and the evidence is at least the floor: the inner product, corrected by whether the
model would answer with the fact. A paraphrase is won if the right fact has the most evidence of
those that count; an unrelated query is left alone if none counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from evaluation.scopes.weighing import LOWEST_FLOOR, Weighed

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

HIGHEST_FLOOR = 0.95
FLOORS = tuple(n / 100 for n in range(round(100 * LOWEST_FLOOR), round(100 * HIGHEST_FLOOR) + 1))
SURES = tuple(n / 100 for n in range(50, 101, 5))
CONFIRMATIONS = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4)

_FEW = 30
"""A group of fewer paraphrases, or of fewer unrelated queries, counts less than a whole one."""
_LEAST = 1e-6
_AREA_FLOORS = np.linspace(LOWEST_FLOOR, 1.01, 285)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which inner product on a fact counts, and from which on it surely does."""

    floor: float
    sure: float = -1.0
    """At or below the floor, nothing is unsure."""
    confirmation: float = 0.0
    """What it takes off the inner product if the model answers with the fact e times less readily
    than it did when the fact was taught; the service's is 1 / SHARPNESS."""


@dataclass(frozen=True, slots=True)
class Point:
    """The share of paraphrases won, and of unrelated queries left alone; NaN where none is asked.

    `asked`: of how many queries the model is asked to confirm a fact.
    """

    won: float
    alone: float
    asked: float


@dataclass(frozen=True, slots=True)
class Decided:
    """What decides about the nearest facts of each probe, at any floor. (probes, facts)"""

    evidence: Numbers
    """What the facts that count are ordered by."""
    highest: Numbers
    """The highest floor with which a fact counts; minus infinity if it never does."""
    right: Flags
    paraphrase: Flags
    weights: Numbers
    """How much a probe counts; the paraphrases' add up to 1, and so do the others'."""

    def at(self, floor: float) -> tuple[float, float]:
        """The shares of paraphrases won and of unrelated queries left alone."""
        counts = self.highest >= floor
        first = np.where(counts, self.evidence, -np.inf).argmax(1)
        won = np.any(counts, axis=1) & self.right[np.arange(len(first)), first]
        alone = ~np.any(counts, axis=1)
        unrelated = ~self.paraphrase
        return (
            _share(won[self.paraphrase], self.weights[self.paraphrase]),
            _share(alone[unrelated], self.weights[unrelated]),
        )

    @property
    def area(self) -> float:
        """The area under the curve of paraphrases won against unrelated queries changed.

        The curve ends with a straight line from the lowest floor to where everything is won and
        changed.
        """
        points = np.array([self.at(floor) for floor in _AREA_FLOORS[::-1]])
        won = np.array([0.0, *points[:, 0], 1.0])
        changed = np.array([0.0, *(1 - points[:, 1]), 1.0])
        return float(np.trapezoid(won, changed))


class Sample:
    """Probes that are counted together. `weights` say how much each counts, all the same if None.

    The weights of the paraphrases are scaled to a sum of 1, and so are those of the others.
    """

    def __init__(self, weighed: Sequence[Weighed], weights: Sequence[float] | None = None) -> None:
        shape = len(weighed), max((len(one.near) for one in weighed), default=0) or 1
        self._products = np.full(shape, -np.inf)  # (probes, nearest facts)
        self._answered = np.full(shape, _LEAST)
        self._right = np.zeros(shape, dtype=bool)
        self._another = np.zeros(shape, dtype=bool)
        for row, one in enumerate(weighed):
            for column, near in enumerate(one.near):
                self._products[row, column] = near.product
                self._answered[row, column] = max(near.answered or 0.0, _LEAST)
                self._right[row, column] = near.is_right
                self._another[row, column] = near.of_another
        self._paraphrase = np.array([one.probe.is_paraphrase for one in weighed], dtype=bool)
        given = np.ones(len(weighed)) if weights is None else np.array(weights)
        self._weights = np.zeros(len(weighed))
        for alike in (self._paraphrase, ~self._paraphrase):
            self._weights[alike] = _scaled(given[alike])
        self._each = _scaled(given)

    @classmethod
    def balanced(cls, groups: Iterable[Sequence[Weighed]]) -> Sample:
        """All probes of `groups`. Each group counts the same, but one of few probes less."""
        probes: list[Weighed] = []
        weights: list[float] = []
        for group in groups:
            paraphrases = sum(one.probe.is_paraphrase for one in group)
            for one in group:
                alike = paraphrases if one.probe.is_paraphrase else len(group) - paraphrases
                probes.append(one)
                weights.append(1 / max(alike, _FEW))
        return cls(probes, weights)

    @property
    def paraphrases(self) -> int:
        return int(self._paraphrase.sum())

    @property
    def unrelated(self) -> int:
        return len(self._paraphrase) - self.paraphrases

    def decided(self, sure: float = -1.0, confirmation: float = 0.0) -> Decided:
        """What becomes of each probe as the floor moves."""
        is_sure = self._products >= sure
        confirmed = self._products + confirmation * np.log(self._answered)
        evidence = np.where(is_sure, self._products, confirmed)
        highest = np.minimum(evidence, self._products)
        highest[self._another & ~is_sure] = -np.inf
        return Decided(evidence, highest, self._right, self._paraphrase, self._weights)

    def point(self, thresholds: Thresholds) -> Point:
        """What these thresholds win."""
        decided = self.decided(thresholds.sure, thresholds.confirmation)
        unsure = (self._products >= thresholds.floor) & (self._products < thresholds.sure)
        unsure &= ~self._another
        asked = _share(np.any(unsure, axis=1), self._each)
        return Point(*decided.at(thresholds.floor), asked)


@dataclass(frozen=True, slots=True)
class Best:
    """The thresholds that win most, and what they win."""

    thresholds: Thresholds
    point: Point


class Search:
    """Looks for the thresholds that win the most paraphrases of a sample.

    They leave at least `keep` of the unrelated queries alone.
    """

    def __init__(self, sample: Sample, keep: float) -> None:
        self._sample = sample
        self._keep = keep

    def best_floor(self, sure: float, confirmation: float) -> Best | None:
        """The best with these two thresholds; None where no floor leaves enough alone."""
        decided = self._sample.decided(sure, confirmation)
        fit = []
        for floor in FLOORS:
            won, alone = decided.at(floor)
            if alone >= self._keep:
                fit.append((won, alone, floor))
        if not fit:
            return None
        thresholds = Thresholds(max(fit)[2], sure, confirmation)
        return Best(thresholds, self._sample.point(thresholds))

    @cached_property
    def best(self) -> Best | None:
        """The best of all. Of equals, the one that leaves most alone and then asks least."""
        return max(self._all(), key=_merit, default=None)

    def _all(self) -> Iterator[Best]:
        for sure in SURES:
            for confirmation in CONFIRMATIONS:
                if (best := self.best_floor(sure, confirmation)) is not None:
                    yield best


def _merit(best: Best) -> tuple[float, float, float]:
    return best.point.won, best.point.alone, -best.point.asked


def _scaled(weights: Numbers) -> Numbers:
    return weights / weights.sum() if len(weights) else weights


def _share(flags: Flags, weights: Numbers) -> float:
    """The weight of what is flagged; NaN of nothing."""
    return float(weights @ flags) if len(flags) else float("nan")
