"""Writes what the units in a folder say: README.md, results.csv, refused.csv and the plots."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from evaluation.paper.markdown import cell, head, line
from evaluation.paper.metrics import COMPARISONS, Figure
from evaluation.paper.running import Plan
from evaluation.paper.sections import sections
from evaluation.paper.summary import (
    TRAINED_ON,
    Cost,
    Row,
    at_size,
    by_setup,
    is_seen,
    rows_of,
    shared_size,
)
from evaluation.paper.units import Setup, Units, slug

_TITLES = {
    "counterfact": "Table 1, CounterFact",
    "extension": "Table 2, CounterFactExtension",
}
_REFUSED = "refused.csv"
_INTRODUCTION = """\
# The paper's tables

Query-answer pairs enter one after the other, each once, and nothing is restored between them. After
the last one, the whole set is scored. These are the figures of the models named here, not the
paper's, and say what a small model does.

In each cell: the mean in percent ± its standard error over cases, and with several seeds the
standard deviation of their means in brackets. results.csv has these, the standard deviation over
cases, and the command of each figure. A figure within 5 points or two standard errors of 50% is
called **chance**: whoever guesses between two answers gets it. Rows with † are of cases that the
model's adapter saw in training. Where a row names layers, they were chosen by `python -m evaluation
sweep`; elsewhere they are the paper's, at the same relative depth.

| column | what it is |
| --- | --- |
| efficacy, paraphrase | the new answer's mean token negative log-likelihood is below the true \
one's, strictly (ROME's code); a mean within the case, then over cases |
| ..., paper | the paper's wording: after the edits, the new answer is likelier than the answer \
that the system gave before any edit, by the same mean |
| generated | the greedy answer is the new one |
| other subjects kept, same subject kept | the greedy answer to the same form about other \
subjects, or about other relations of the subject, is as before the edits |
| token accuracy | the share of the new answer's tokens that are the likeliest, each after the \
right ones before it; no success by itself |
| triples per edit | how many triples one feedback added and removed |
| foreign answers changed | of questions about what no case is about |
| loss of foreign facts | for these questions, what a token of the true answer costs: its mean \
negative log-likelihood in nats, the logarithm of a perplexity |
"""


def write(out: Path) -> dict[str, Any]:
    """Write the tables and plots of all finished units, and return the figures for programs."""
    rows = rows_of(Units(out))
    if not rows:
        return {"measurement": "run", "columns": [], "rows": []}
    _write_refused(rows, out)
    (out / "README.md").write_text("\n".join(_document(rows, out)) + "\n", encoding="utf-8")
    records = [record for row in rows for record in _records(row)]
    with (out / "results.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    shown = ("dataset", "model", "method", "size", "metric", "mean", "cases", "seeds")
    return {"measurement": "run", "columns": shown, "rows": [_shown(r, shown) for r in records]}


def _shown(record: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [record[name] for name in names]


def _write_refused(rows: Sequence[Row], out: Path) -> None:
    """List the edits that a method refused, and the cases that it could not be asked."""
    refused = [found for row in rows for found in _refused(row)]
    if not refused:
        (out / _REFUSED).unlink(missing_ok=True)
        return
    with (out / _REFUSED).open("w", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("dataset", "model", "method", "size", "seed", "case", "what", "why"))
        writer.writerows(refused)


def _refused(row: Row) -> Iterator[tuple[str | int, ...]]:
    for unit in row.units:
        own = (row.setup.dataset, row.setup.model, row.method, row.size, unit.seed)
        for what, records in (("edit", unit.edits), ("question", unit.cases)):
            for record in records:
                if record.refused:
                    yield (*own, record.case, what, record.refused)


def write_left_out(out: Path, plan: Plan) -> None:
    """List the cases that take no part, with the reason for each."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / _left_out_name(plan.setup)).open("w", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("where", "kind", "why"))
        writer.writerows((one.place, one.kind, one.why) for one in plan.left_out)


# Markdown


def _document(rows: Sequence[Row], out: Path) -> Iterator[str]:
    yield _INTRODUCTION
    setups = by_setup(rows)
    yield from _side_by_side(setups)
    for setup, of_setup in setups.items():
        yield from _setup(setup, of_setup, out)


def _side_by_side(setups: Mapping[Setup, Sequence[Row]]) -> Iterator[str]:
    """The paper's form: a row for each method, two columns for each model.

    At the largest size of which all have rows; without any, there is nothing to compare.
    """
    for dataset, title in _TITLES.items():
        of_dataset = {s: rows for s, rows in setups.items() if s.dataset == dataset}
        size = shared_size(of_dataset.values())
        if len(of_dataset) < 2 or size is None:
            continue
        models = {setup: at_size(rows, size) for setup, rows in of_dataset.items()}
        yield f"## {title}: all models, {size} cases edited\n"
        names = [f"{_model(setup)}: {metric}" for setup in models for metric in COMPARISONS]
        yield from head(["method", *names])
        for method in dict.fromkeys(chain.from_iterable(models.values())):
            cells = []
            for found in models.values():
                known = found[method].figures if method in found else {}
                cells += [cell(metric, known.get(metric)) for metric in COMPARISONS]
            yield line([method, *cells])
        if any(map(is_seen, models)):
            yield f"\n† The adapter was trained on {TRAINED_ON:.0%} of these subjects."
        yield ""


def _model(setup: Setup) -> str:
    mark = " †" if is_seen(setup) else ""
    return f"{setup.model}, graph {setup.base}, {setup.part}{mark}"


def _left_out_name(setup: Setup) -> str:
    return f"left_out-{slug(setup.folder)}.csv"


def _setup(setup: Setup, rows: Sequence[Row], out: Path) -> Iterator[str]:
    """All that was found with one model, data set and base graph."""
    title = _TITLES.get(setup.dataset, f"Corrections of the set {setup.dataset}")
    yield f"## {title}: {_model(setup)}\n"
    yield from _about(setup, rows)
    yield from sections(setup, rows, out)


def _about(setup: Setup, rows: Sequence[Row]) -> Iterator[str]:
    units = [unit for row in rows for unit in row.units]
    commands = dict.fromkeys(unit.command for unit in units)
    machines = dict.fromkeys(f"{unit.machine}, {unit.date}" for unit in units)
    yield from (f"    {command}" for command in commands)
    yield f"\nOn {'; '.join(machines)}."
    adapter = setup.adapter or "none"
    yield f"Model `{setup.fingerprint}`; adapter `{adapter}`; data `{setup.digest}`."
    if is_seen(setup):
        yield f"**† The adapter was trained on {TRAINED_ON:.0%} of these subjects.**"
    left_out = {kind: n for unit in units for kind, n in unit.left_out.items()}
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(left_out.items())) or "none"
    yield f"Cases left out: {told} ({_left_out_name(setup)} lists them)."
    if any(row.refused_edits + row.refused_cases for row in rows):
        yield f"{_REFUSED} lists the edits and cases that a method refused."


# For programs


def _records(row: Row) -> Iterator[dict[str, Any]]:
    """A record for each figure of a row, costs included."""
    command = next(iter(dict.fromkeys(unit.command for unit in row.units)))
    own: dict[str, Any] = {
        "dataset": row.setup.dataset,
        "base": row.setup.base,
        "part": row.setup.part,
        "model": row.setup.model,
        "method": row.method,
        "size": row.size,
        "adapter_saw": is_seen(row.setup),
    }
    more = {"command": command, "machine": row.units[0].machine, "date": row.units[0].date}
    for name, figure in row.figures.items():
        yield {**own, "metric": name, **_figures(figure, name), **more}
    cost = Cost.of(row)
    for name, value in (
        ("edit ms", cost.ms),
        ("edit ms, extraction", cost.extraction_ms),
        ("edit peak MB", cost.peak_mb),
        ("edit peak MB, its own", cost.own_mb),
        ("fit s", cost.fit_s),
    ):
        deviation = cost.ms_deviation if name == "edit ms" else math.nan
        if value is not None:
            found = Figure(value, cost.edits, deviation, len(row.units), math.nan)
            yield {**own, "metric": name, **_figures(found, name), **more}


def _figures(figure: Figure, name: str) -> dict[str, Any]:
    return {
        "mean": round(figure.mean, 6),
        "cases": figure.cases,
        "deviation": _known(figure.deviation),
        "error": _known(figure.error),
        "seeds": figure.seeds,
        "seed_deviation": _known(figure.seed_deviation),
        "is_chance": name in COMPARISONS and figure.is_chance,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
