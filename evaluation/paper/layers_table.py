"""The layers that were tried, as a table and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from evaluation.methods.weights.layers import layers_text
from evaluation.paper.markdown import head, line
from evaluation.paper.sweeps import Sweep

_COLUMNS = ("method", "layers", "efficacy", "paraphrase", "margin, nats", "cases", "")


def table(sweeps: Iterable[Sweep]) -> Iterator[str]:
    """A line for each candidate, the best one first. It says which layers are edited."""
    yield from head(_COLUMNS)
    for sweep in sweeps:
        for one in sorted(sweep.tried, key=lambda one: one.rank, reverse=True):
            is_published, is_best = one.layers == sweep.published, one.layers == sweep.best
            notes = ["published: the default"] * is_published + ["best: `--layers best`"] * is_best
            shares = [f"{100 * one.efficacy:.0f}%", f"{100 * one.paraphrase:.0f}%"]
            more = [f"{one.margin:.2f}", str(len(sweep.cases)), ", ".join(notes)]
            yield line([sweep.method, layers_text(one.layers), *shares, *more])


def document(sweeps: Sequence[Sweep]) -> dict[str, Any]:
    """The figures for programs."""
    columns = ("method", "layers", "efficacy", "paraphrase", "margin", "published", "best")
    rows = [
        [
            sweep.method,
            list(one.layers),
            one.efficacy,
            one.paraphrase,
            one.margin,
            one.layers == sweep.published,
            one.layers == sweep.best,
        ]
        for sweep in sweeps
        for one in sweep.tried
    ]
    return {"measurement": "sweep", "columns": columns, "rows": rows}
