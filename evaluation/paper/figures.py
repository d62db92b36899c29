"""Draws the paper's figures 3 and 4, each as SVG and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.paper.metrics import COMPARISONS
from evaluation.paper.summary import Row, at_largest, by_size
from evaluation.paper.units import Setup, slug

_PAIRS = (
    ("KGT literal", "KGT literal with relation given"),
    ("KGT default", "KGT default with relation given"),
)
"""Rows that differ only in who names the relation."""
_FORMATS = ("svg", "png")
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "kgt",  # the same figures give the same bytes
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MARKS = "os^vDPX*<>"


def draw_sizes(setup: Setup, rows: Sequence[Row], out: Path) -> str:
    """Figure 4: efficacy and paraphrase of all methods over the number of edits.

    Returns the name of the SVG.
    """
    with matplotlib.rc_context(_STYLE):
        figure, places = _panels()
        for number, method in enumerate(dict.fromkeys(row.method for row in rows)):
            # next to each other, so that equal curves can be seen
            _curve(places, [row for row in rows if row.method == method], number)
        for place in places:
            place.set_xscale("log")
            place.set_xticks(list(by_size(rows)), [f"{size:,}" for size in by_size(rows)])
            place.minorticks_off()
            place.set_xlabel("edits")
        figure.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return _saved(figure, out, f"{slug(setup.folder)}-sizes")


def _curve(places: Sequence[Axes], rows: Sequence[Row], number: int) -> None:
    """One method's efficacy and paraphrase, with standard errors."""
    for place, metric in zip(places, COMPARISONS, strict=True):
        known = [(row.size, row.figures[metric]) for row in rows if metric in row.figures]
        place.errorbar(
            [size * 1.01**number for size, _ in known],
            [100 * found.mean for _, found in known],
            yerr=[100 * found.error for _, found in known],
            label=rows[0].method,
            marker=_MARKS[number % len(_MARKS)],
            color=f"C{number % 10}",
            linestyle="-" if number < 10 else "--",
            markersize=4,
            capsize=2,
        )


def draw_given(setup: Setup, rows: Sequence[Row], out: Path) -> str:
    """Figure 3: the same rows with relations extracted and given, at the largest size.

    Returns the name of the SVG; empty where no pair of rows has both.
    """
    largest = at_largest(rows)
    pairs = [pair for pair in _PAIRS if largest.keys() >= set(pair)]
    if not pairs:
        return ""
    with matplotlib.rc_context(_STYLE):
        figure, places = _panels()
        for place, metric in zip(places, COMPARISONS, strict=True):
            for side, label in ((0, "extracted"), (1, "given")):
                found = [largest[pair[side]].figures[metric] for pair in pairs]
                place.bar(
                    [n + 0.4 * side for n in range(len(pairs))],
                    [100 * one.mean for one in found],
                    0.38,
                    yerr=[100 * one.error for one in found],
                    label=f"relations {label}",
                    capsize=3,
                )
            place.set_xticks([n + 0.2 for n in range(len(pairs))], [pair[0] for pair in pairs])
        figure.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        return _saved(figure, out, f"{slug(setup.folder)}-given")


def _panels() -> tuple[Figure, Sequence[Axes]]:
    """A figure with a panel for each of the two metrics. The line at 50% is chance."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    places: Sequence[Axes] = figure.subplots(1, len(COMPARISONS), sharey=True)
    for place, metric in zip(places, COMPARISONS, strict=True):
        place.set_title(metric)
        place.set_ylim(0, 102)
        place.axhline(50, color="0.7", linewidth=0.8, linestyle=":")
    places[0].set_ylabel("%")
    return figure, places


def _saved(figure: Figure, out: Path, name: str) -> str:
    for form in _FORMATS:
        figure.savefig(out / f"{name}.{form}", metadata={"Date": None} if form == "svg" else {})
    return f"{name}.svg"
