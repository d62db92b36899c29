"""The figures as Markdown tables, and as a document for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evaluation.scopes.banks import ALIAS
from evaluation.scopes.curves import (
    CONFIRMATIONS,
    FLOORS,
    SURES,
    Best,
    Point,
    Sample,
    Search,
    Thresholds,
)
from evaluation.scopes.weighing import Weighed

SHOWN_FLOORS = FLOORS[::5]
ALL, BALANCED = TOGETHER = "all", "balanced"
"""All probes, each counting the same or each group."""
_NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Figures:
    """The probes by group, and the thresholds that the model itself comes with."""

    groups: Mapping[str, Sequence[Weighed]]
    own: Thresholds

    def samples(self) -> dict[str, Sample]:
        """A sample for each group, for all probes together, and with each group weighing the same.

        Aliases are no part of the last two.
        """
        counted = [probes for name, probes in self.groups.items() if not name.endswith(ALIAS)]
        together = [one for probes in counted for one in probes]
        return {
            **{name: Sample(probes) for name, probes in self.groups.items()},
            ALL: Sample(together),
            BALANCED: Sample.balanced(counted),
        }


@dataclass(frozen=True, slots=True)
class Way:
    """A way to tell what a query asks: with these thresholds, at any floor."""

    name: str
    sure: float = -1.0
    confirmation: float = 0.0

    def at(self, floor: float) -> Thresholds:
        return Thresholds(floor, self.sure, self.confirmation)


def ways(figures: Figures) -> tuple[Way, Way, Way]:
    """By keys only; by keys and, where not sure, by names; and confirmed by the model as well."""
    own = figures.own
    return (
        Way("keys only"),
        Way("keys and names", own.sure),
        Way("keys, names and confirmation", own.sure, own.confirmation),
    )


# Tables


def counts_table(samples: Mapping[str, Sample]) -> list[str]:
    """How many probes there are."""
    rows = [
        ["paraphrases", *(str(sample.paraphrases) for sample in samples.values())],
        ["unrelated queries", *(str(sample.unrelated) for sample in samples.values())],
    ]
    return _table("", samples, rows)


def floors_table(way: Way, samples: Mapping[str, Sample], own: Thresholds) -> list[str]:
    """What is won at each floor; the model's own floor is in bold."""
    rows = []
    for floor in sorted({*SHOWN_FLOORS, own.floor}):
        cells = [_cell(sample.point(way.at(floor))) for sample in samples.values()]
        rows.append([f"{floor:.2f}", *cells])
        if floor == own.floor:
            rows[-1] = [f"**{cell}**" for cell in rows[-1]]
    rows.append(["area", *(_number(_area(way, sample)) for sample in samples.values())])
    return _table("floor", samples, rows)


def thresholds_table(search: Search) -> list[str]:
    """The best floor for each `sure` and confirmation, and what it wins."""
    rows = []
    for sure in SURES:
        found = (search.best_floor(sure, weight) for weight in CONFIRMATIONS)
        rows.append([f"{sure:.2f}", *(_best_cell(best) for best in found)])
    return _table("sure", [f"{weight:g}" for weight in CONFIRMATIONS], rows)


def best_table(thresholds: Thresholds, samples: Mapping[str, Sample]) -> list[str]:
    """What one choice of thresholds wins, and how often the model is asked to confirm."""
    points = [sample.point(thresholds) for sample in samples.values()]
    rows = [
        ["won", *(_percent(point.won) for point in points)],
        ["left alone", *(_percent(point.alone) for point in points)],
        ["asked to confirm", *(_percent(point.asked) for point in points)],
    ]
    return _table("", samples, rows)


def said(thresholds: Thresholds) -> str:
    """The thresholds in words."""
    return (
        f"floor {thresholds.floor:.2f}, sure {thresholds.sure:.2f},"
        f" confirmation {thresholds.confirmation:g}"
    )


def _table(corner: str, columns: Iterable[str], rows: Sequence[Sequence[str]]) -> list[str]:
    head = [corner, *columns]
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(point: Point) -> str:
    return f"{_percent(point.won)} / {_percent(point.alone)}"


def _best_cell(best: Best | None) -> str:
    return _NOTHING if best is None else f"{best.thresholds.floor:.2f}: {_percent(best.point.won)}"


def _percent(share: float) -> str:
    return _NOTHING if math.isnan(share) else f"{100 * share:.1f}"


def _number(figure: float) -> str:
    return _NOTHING if math.isnan(figure) else f"{figure:.3f}"


def _area(way: Way, sample: Sample) -> float:
    return sample.decided(way.sure, way.confirmation).area


# For programs


def document(figures: Figures, keep: float) -> dict[str, Any]:
    """The figures, for programs. Shares of nothing are null."""
    samples = figures.samples()
    best = {name: Search(samples[name], keep).best for name in TOGETHER}
    curves = {}
    for way in ways(figures):
        curves[way.name] = {name: _curve(way, sample) for name, sample in samples.items()}
    return {
        "own": asdict(figures.own),
        "keep": keep,
        "best": {name: _document_of(of) if of else None for name, of in best.items()},
        "probes": {name: [s.paraphrases, s.unrelated] for name, s in samples.items()},
        "floors": SHOWN_FLOORS,
        "ways": curves,
    }


def _document_of(best: Best) -> dict[str, Any]:
    point = {name: _rounded(share) for name, share in asdict(best.point).items()}
    return {**asdict(best.thresholds), **point}


def _curve(way: Way, sample: Sample) -> dict[str, Any]:
    points = [sample.point(way.at(floor)) for floor in SHOWN_FLOORS]
    return {
        "area": _rounded(_area(way, sample)),
        "won": [_rounded(point.won) for point in points],
        "alone": [_rounded(point.alone) for point in points],
    }


def _rounded(figure: float) -> float | None:
    return None if math.isnan(figure) else round(figure, 4)
