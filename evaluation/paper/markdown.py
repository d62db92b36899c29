"""Cells and lines of the tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from evaluation.paper.metrics import COMPARISONS, Figure
from evaluation.paper.summary import FOREIGN_LOSS, TRIPLES

NOTHING = "–"


def head(names: Sequence[str]) -> Iterator[str]:
    """The first two lines of a table: names on the left, and figures."""
    yield line(names)
    yield line(["---", *("---:" for _ in names[1:])])


def line(cells: Sequence[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def cell(name: str, figure: Figure | None) -> str:
    """A figure with its errors: in percent, or as it is where the metric is no share."""
    if figure is None:
        return NOTHING
    scale, digits = 100, 1
    if name in (TRIPLES, FOREIGN_LOSS):
        scale, digits = 1, 1 if name == TRIPLES else 2
    text = f"{scale * figure.mean:.{digits}f} ± {number(scale * figure.error, digits)}"
    if figure.seeds > 1:
        text += f" [{number(scale * figure.seed_deviation, digits)}]"
    if name in COMPARISONS and figure.is_chance:
        text += " **chance**"
    return text


def number(value: float, digits: int = 1) -> str:
    """A number, or a dash where it is not known."""
    return NOTHING if math.isnan(value) else f"{value:.{digits}f}"
