"""How long a run will take: what is known of each method, and how fast the run really is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from evaluation.methods.registry import Entry, without_layers
from evaluation.paper.units import Setup, Units

_TRUST_S = 60.0
"""The estimate is trusted as if the run had kept to it for so long already."""


@dataclass(frozen=True, slots=True)
class Typical:
    """What a method takes, in seconds: two cores, the model that ships, nothing else running."""

    edit_s: float
    fit_s: float = 0.0


TYPICAL: Mapping[str, Typical] = {
    "no edit": Typical(0.0),
    "model alone": Typical(0.0),
    "in-context": Typical(0.0),
    "nearest cases": Typical(0.05),
    "FT": Typical(4.0),
    "FT-L": Typical(4.0),
    "ROME": Typical(8.0, 100.0),
    "ROME (C = I)": Typical(8.0, 5.0),
    "r-ROME": Typical(8.0, 10.0),
    "MEMIT": Typical(8.0, 30.0),
    "KN": Typical(25.0),
    "KE": Typical(0.5, 150.0),
    "MEND": Typical(0.5, 150.0),
}
"""By method. What is not named here is a row of KGT."""
_KGT = Typical(0.5)
_START_S = 8.0
"""Weights are loaded for each method and seed."""
_SCORE_S, _FOREIGN_S = 1.0, 0.3
"""A case that is scored, and a foreign question."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one method is expected to take with one seed, in seconds."""

    fit_s: float
    before_s: float
    edit_s: float
    """An edit."""
    score_s: float
    """A case that is scored."""

    def total_s(self, edits: int, sizes: Sequence[int]) -> float:
        """The whole: so many edits, scored at these sizes."""
        return self.fit_s + self.before_s + self.edit_s * edits + self.score_s * sum(sizes)


class Estimator:
    """Estimates methods: by the units of theirs that are done, or else by TYPICAL."""

    def __init__(self, units: Units, setup: Setup, foreign: int) -> None:
        self._units = [unit for unit in units if unit.setup == setup]
        self._foreign = foreign
        self._asked: set[tuple[str, int]] = set()

    def estimate(self, name: str, entry: Entry, seed: int, sizes: Sequence[int]) -> Estimate:
        """What the method takes. Of several that are the same before an edit, the first asks."""
        known = self.typical(name)
        questions = max(sizes) * _SCORE_S + self._foreign * _FOREIGN_S
        is_first = (entry.unedited, seed) not in self._asked
        self._asked.add((entry.unedited, seed))
        return Estimate(
            fit_s=_START_S + known.fit_s,
            before_s=questions if is_first else 0.0,
            edit_s=known.edit_s,
            score_s=_SCORE_S + self._foreign * _FOREIGN_S * len(sizes) / sum(sizes),
        )

    def typical(self, name: str) -> Typical:
        """What an edit and the fit of this method take."""
        done = [unit for unit in self._units if unit.method == name and unit.edits]
        if not done:
            return TYPICAL.get(without_layers(name), _KGT)
        edits = [edit.ms / 1000 for unit in done for edit in unit.edits]
        return Typical(fmean(edits), max(unit.fit_s for unit in done))


def told(of_methods: Mapping[str, float]) -> str:
    """The estimate of a run in a line: the methods' seconds, the longest first."""
    whole = in_words(sum(of_methods.values()))
    longest = sorted(of_methods, key=lambda name: of_methods[name], reverse=True)
    parts = ", ".join(f"{name} {in_words(of_methods[name])}" for name in longest)
    return f"about {whole} on two cores with the model that ships: {parts}"


def in_words(seconds: float) -> str:
    """A time in the unit that suits it, such as "40 s", "12 min" or "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


class TimeLeft:
    """How much longer a run takes, by what its parts were expected to take, and did take."""

    def __init__(self, expected_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started_s = clock()
        self._expected_s = expected_s
        self._done_s = 0.0
        self._part_s = 0.0

    def begin(self, part_s: float, spared_s: float = 0.0) -> None:
        """Begin a part that was expected to take so long; some of it was done by an earlier run."""
        self._done_s += self._part_s
        self._expected_s -= spared_s
        self._part_s = part_s - spared_s

    def advance(self, step_s: float) -> None:
        """A step of the part is done that was expected to take so long."""
        self._done_s += step_s
        self._part_s -= step_s

    @property
    def left_s(self) -> float:
        """The seconds until all parts are done."""
        elapsed_s = self._clock() - self._started_s
        pace = (elapsed_s + _TRUST_S) / (self._done_s + _TRUST_S)
        return max(0.0, self._expected_s - self._done_s) * pace
