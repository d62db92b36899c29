"""Writes what the units in a folder say: README.md, results.csv, left_out.csv and the plots."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from evaluation.paper import figures
from evaluation.paper.metrics import COMPARISONS, SUCCESS, Figure
from evaluation.paper.running import Plan
from evaluation.paper.summary import TRIPLES, Cost, Row, at_largest, by_setup, by_size, rows_of
from evaluation.paper.units import Setup, Units
from training.sources import HELD_OUT_SUBJECTS

_TITLES = {
    "counterfact": "Table 1, CounterFact",
    "extension": "Table 2, CounterFactExtension",
}
_NOTHING = "–"
_TRAINED_ON = 1 - HELD_OUT_SUBJECTS
_INTRODUCTION = """\
# The paper's tables

Query-answer pairs enter one after the other, each once, and nothing is restored between them. After
the last one, the whole set is scored. These are the figures of the models named here, not the
paper's, and say what a small model does.

In each cell: the mean in percent ± its standard error over cases, and with several seeds the
standard deviation of their means in brackets. results.csv has these, the standard deviation over
cases, and the command of each figure. A figure within 5 points or two standard errors of 50% is
called **chance**: whoever guesses between two answers gets it.

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
"""


def write(out: Path) -> dict[str, Any]:
    """Write the tables and plots of all finished units, and return the figures for programs."""
    rows = rows_of(Units(out))
    if not rows:
        return {"measurement": "run", "columns": [], "rows": []}
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


def write_left_out(out: Path, plan: Plan) -> None:
    """List the cases that take no part, with the reason for each."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / f"left_out-{plan.setup.dataset}.csv").open("w", encoding="utf-8") as file:
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
    """The paper's form: a row for each method, two columns for each model, at the largest size."""
    for dataset, title in _TITLES.items():
        models = {s: at_largest(rows) for s, rows in setups.items() if s.dataset == dataset}
        if len(models) < 2:
            continue
        yield f"## {title}: all models\n"
        names = [f"{_model(setup)}: {metric}" for setup in models for metric in COMPARISONS]
        yield from _head(["method", *names])
        for method in dict.fromkeys(chain.from_iterable(models.values())):
            cells = []
            for found in models.values():
                known = found[method].figures if method in found else {}
                cells += [_cell(metric, known.get(metric)) for metric in COMPARISONS]
            yield _line([method, *cells])
        yield ""


def _model(setup: Setup) -> str:
    return f"{setup.model}, graph {setup.base}, {setup.part}"


def _setup(setup: Setup, rows: Sequence[Row], out: Path) -> Iterator[str]:
    """All that was found with one model, data set and base graph."""
    title = _TITLES.get(setup.dataset, f"Corrections of the set {setup.dataset}")
    yield f"## {title}: {_model(setup)}\n"
    yield from _about(setup, rows)
    sizes = by_size(rows)
    for size, of_size in sizes.items():
        names = list(dict.fromkeys(name for row in of_size for name in row.figures))
        others = [name for name in names if name not in SUCCESS]
        yield f"\n### {size:,} cases edited\n"
        if len(others) < len(names):
            yield from _figures_of(of_size, [name for name in names if name in SUCCESS])
            yield "\nWhat else changed, and what is no success by itself:\n"
        yield from _figures_of(of_size, others)
    largest = sizes[max(sizes)]
    yield "\n### Table 3: time and memory of an edit\n"
    yield (
        "Peak memory is the whole process's, or on a GPU what torch has allocated there; the"
        " method's own is without what was in use before it was made. Extraction is the part of an"
        " edit in which the model lists relations.\n"
    )
    yield from _costs(largest)
    yield from _plots(setup, rows, out)


def _about(setup: Setup, rows: Sequence[Row]) -> Iterator[str]:
    units = [unit for row in rows for unit in row.units]
    commands = dict.fromkeys(unit.command for unit in units)
    machines = dict.fromkeys(f"{unit.machine}, {unit.date}" for unit in units)
    yield from (f"    {command}" for command in commands)
    yield f"\nOn {'; '.join(machines)}."
    adapter = setup.adapter or "none"
    yield f"Model `{setup.fingerprint}`; adapter `{adapter}`; data `{setup.digest}`."
    if setup.adapter and setup.part == "all":
        yield f"**The adapter was trained on {_TRAINED_ON:.0%} of these subjects.**"
    left_out = {kind: n for unit in units for kind, n in unit.left_out.items()}
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(left_out.items())) or "none"
    yield f"Cases left out: {told} (left_out-{setup.dataset}.csv lists them)."


def _figures_of(rows: Sequence[Row], names: Sequence[str]) -> Iterator[str]:
    yield from _head(["method", *names, "cases", "seeds", "refused"])
    for row in rows:
        cells = [_cell(name, row.figures.get(name)) for name in names]
        cases = sum(len(unit.cases) for unit in row.units)
        refused = row.refused_edits + row.refused_cases
        yield _line([row.method, *cells, f"{cases:,}", str(len(row.units)), str(refused)])


def _cell(name: str, figure: Figure | None) -> str:
    if figure is None:
        return _NOTHING
    scale = 1 if name == TRIPLES else 100
    text = f"{scale * figure.mean:.1f} ± {_number(scale * figure.error)}"
    if figure.seeds > 1:
        text += f" [{_number(scale * figure.seed_deviation)}]"
    if name in COMPARISONS and figure.is_chance:
        text += " **chance**"
    return text


def _number(value: float) -> str:
    return _NOTHING if math.isnan(value) else f"{value:.1f}"


def _costs(rows: Sequence[Row]) -> Iterator[str]:
    times_of = ("ms", "deviation", "median", "extraction", "the rest")
    yield from _head(["method", *times_of, "peak MB", "its own", "fit s", "edits"])
    for row in rows:
        cost = Cost.of(row)
        apart = [_NOTHING, _NOTHING]
        if cost.extraction_ms is not None:
            apart = [f"{cost.extraction_ms:.0f}", f"{cost.ms - cost.extraction_ms:.0f}"]
        numbers = (cost.ms, cost.ms_deviation, cost.median_ms)
        times = [f"{value:.1f}" for value in numbers]
        memory = [f"{cost.peak_mb:,.0f}", f"{cost.own_mb:,.0f}"]
        more = [*memory, f"{cost.fit_s:.0f}", f"{cost.edits:,}"]
        yield _line([row.method, *times, *apart, *more])


def _plots(setup: Setup, rows: Sequence[Row], out: Path) -> Iterator[str]:
    if not any(metric in row.figures for row in rows for metric in COMPARISONS):
        return
    given = figures.draw_given(setup, rows, out)
    if given:
        yield "\n### Figure 3: relations extracted and given\n"
        yield f"![efficacy and paraphrase with relations extracted and given]({given})"
    yield "\n### Figure 4: efficacy and paraphrase over the number of edits\n"
    yield f"![efficacy and paraphrase over edits]({figures.draw_sizes(setup, rows, out)})\n"


def _head(names: Sequence[str]) -> Iterator[str]:
    yield _line(names)
    yield _line(["---", *("---:" for _ in names[1:])])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


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
