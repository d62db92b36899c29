"""Draws the paper's figures 3 and 4 and how ROME collapses, each as SVG and PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.paper.metrics import COMPARISONS
from evaluation.paper.summary import FOREIGN_LOSS, Row, by_size
from evaluation.paper.units import Setup, slug

_FORMATS = ("svg", "png")
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "kgt",  # the same figures give the same bytes
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MARKS = "os^vDPX*<>"
_DASHES = ("-", "--", ":")
_BAR = 0.27


def draw_sizes(setup: Setup, rows: Sequence[Row], out: Path) -> str:
    """Figure 4: efficacy and paraphrase of all methods over the number of edits.

    Returns the name of the SVG.
    """
    with matplotlib.rc_context(_STYLE):
        figure, places = _panels()
        for number, method in enumerate(dict.fromkeys(row.method for row in rows)):
            for place, metric in zip(places, COMPARISONS, strict=True):
                found = [row for row in rows if row.method == method and metric in row.figures]
                _line(place, metric, found, number, 100)
        for place in places:
            _edits_axis(place, rows)
        figure.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return _saved(figure, out, f"{slug(setup.folder)}-sizes")


def _edits_axis(place: Axes, rows: Sequence[Row]) -> None:
    place.set_xscale("log")
    place.set_xticks(list(by_size(rows)), [f"{size:,}" for size in by_size(rows)])
    place.minorticks_off()
    place.set_xlabel("edits")


def _line(place: Axes, metric: str, rows: Sequence[Row], number: int, scale: int) -> None:
    """One method's figures over the number of edits, with standard errors."""
    if not rows:
        return
    found = [row.figures[metric] for row in rows]
    place.errorbar(
        [row.size * 1.01**number for row in rows],  # so that equal curves can be seen
        [scale * one.mean for one in found],
        yerr=[scale * one.error for one in found],
        label=rows[0].label,
        marker=_MARKS[number % len(_MARKS)],
        color=f"C{number % 10}",
        linestyle=_DASHES[number // 10 % len(_DASHES)],
        markersize=4,
        capsize=2,
    )


def draw_relations(setup: Setup, rows: Mapping[tuple[str, str], Row], out: Path) -> str:
    """Figure 3: the rows by their mode and where relations come from, as bars.

    Returns the name of the SVG.
    """
    modes = list(dict.fromkeys(mode for mode, _ in rows))
    sources = list(dict.fromkeys(source for _, source in rows))
    with matplotlib.rc_context(_STYLE):
        figure, places = _panels()
        for place, metric in zip(places, COMPARISONS, strict=True):
            for number, source in enumerate(sources):
                there = [n for n, mode in enumerate(modes) if (mode, source) in rows]
                found = [rows[modes[n], source].figures[metric] for n in there]
                place.bar(
                    [n + _BAR * number for n in there],
                    [100 * one.mean for one in found],
                    0.9 * _BAR,
                    yerr=[100 * one.error for one in found],
                    label=f"relations {source}",
                    capsize=3,
                )
            middle = _BAR * (len(sources) - 1) / 2
            place.set_xticks([n + middle for n in range(len(modes))], modes)
        figure.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return _saved(figure, out, f"{slug(setup.folder)}-relations")


def draw_collapse(setup: Setup, rows: Sequence[Row], metrics: Sequence[str], out: Path) -> str:
    """Some metrics of a few methods over the number of edits, a panel for each.

    Returns the name of the SVG.
    """
    there = {metric for row in rows for metric in row.figures}
    known = [metric for metric in metrics if metric in there]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4 * len(known), 4), layout="constrained")
        places: Sequence[Axes] = figure.subplots(1, len(known), squeeze=False)[0]
        for place, metric in zip(places, known, strict=True):
            is_share = metric != FOREIGN_LOSS
            place.set_title(metric)
            place.set_ylabel("%" if is_share else "nats a token")
            for number, method in enumerate(dict.fromkeys(row.method for row in rows)):
                found = [row for row in rows if row.method == method and metric in row.figures]
                _line(place, metric, found, number, 100 if is_share else 1)
            _edits_axis(place, rows)
            if is_share:
                place.set_ylim(-2, 102)
        figure.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return _saved(figure, out, f"{slug(setup.folder)}-collapse")


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
