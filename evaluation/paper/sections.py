"""The sections of the report about one model, data set and base graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from evaluation.methods.registry import METHODS, without_layers
from evaluation.paper import figures, layers_table
from evaluation.paper.markdown import NOTHING, cell, head, line
from evaluation.paper.metrics import COMPARISONS, EFFICACY, KEPT, SUCCESS
from evaluation.paper.summary import (
    FOREIGN,
    FOREIGN_LOSS,
    Cost,
    Row,
    at_fullest,
    by_size,
    of_one_run,
)
from evaluation.paper.sweeps import Sweeps
from evaluation.paper.units import Setup

ROME, RROME, IDENTITY = "ROME", "r-ROME", "ROME (C = I)"
RELATIONS: Mapping[tuple[str, str], str] = {
    ("literal", "extracted"): "KGT literal",
    ("literal", "ranked"): "KGT literal with relations ranked",
    ("literal", "given"): "KGT literal with relation given",
    ("default", "extracted"): "KGT default",
    ("default", "ranked"): "KGT default with relations ranked",
    ("default", "given"): "KGT default with relation given",
}
"""The rows of Figure 3: the mode, and where relations come from."""


def sections(setup: Setup, rows: Sequence[Row], out: Path) -> Iterator[str]:
    """All that was found with one setup."""
    for size, of_size in by_size(rows).items():
        yield from _size(size, of_size)
    yield from _costs(rows)
    if any(metric in row.figures for row in rows for metric in COMPARISONS):
        yield from _relations(setup, rows, out)
        yield "\n### Figure 4: efficacy and paraphrase over the number of edits\n"
        yield f"![efficacy and paraphrase over edits]({figures.draw_sizes(setup, rows, out)})"
        yield from _collapse(setup, rows, out)
        yield from _covariance(rows)
    yield from _layers(setup, out)
    yield ""


def _of(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """The rows of these methods, at whichever layers."""
    return [row for row in rows if without_layers(row.method) in names]


# Tables 1 and 2


def _size(size: int, rows: Sequence[Row]) -> Iterator[str]:
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    others = [name for name in names if name not in SUCCESS]
    yield f"\n### {size:,} cases edited\n"
    if len(others) < len(names):
        yield from _figures(rows, [name for name in names if name in SUCCESS])
        yield "\nWhat else changed, and what is no success by itself:\n"
    yield from _figures(rows, others)


def _figures(rows: Sequence[Row], names: Sequence[str]) -> Iterator[str]:
    yield from head(["method", *names, "cases", "seeds", "refused"])
    for row in rows:
        cells = [cell(name, row.figures.get(name)) for name in names]
        cases = sum(len(unit.cases) for unit in row.units)
        refused = row.refused_edits + row.refused_cases
        yield line([row.label, *cells, f"{cases:,}", str(len(row.units)), str(refused)])


# Table 3


def _costs(rows: Sequence[Row]) -> Iterator[str]:
    """Each method, as far as possible as one run timed all of them."""
    shown = of_one_run(rows)
    yield "\n### Table 3: time and memory of an edit\n"
    yield (
        "Peak memory is the whole process's, or on a GPU what torch has allocated there; the"
        " method's own is without what was in use before it was made. Extraction is the part of an"
        " edit in which the model lists relations. What a method learns once is its fit: MEND and"
        " KE train on a few hundred edits there, ROME and MEMIT sample texts.\n"
    )
    times_of = ("ms", "deviation", "median", "extraction", "the rest")
    yield from head(["method", *times_of, "peak MB", "its own", "fit s", "edits"])
    yield from map(_cost, shown)
    yield from _completeness(shown)


def _cost(row: Row) -> str:
    cost = Cost.of(row)
    apart = [NOTHING, NOTHING]
    if cost.extraction_ms is not None:
        apart = [f"{cost.extraction_ms:.0f}", f"{cost.ms - cost.extraction_ms:.0f}"]
    times = [f"{value:.1f}" for value in (cost.ms, cost.ms_deviation, cost.median_ms)]
    memory = [f"{cost.peak_mb:,.0f}", f"{cost.own_mb:,.0f}"]
    return line([row.label, *times, *apart, *memory, f"{cost.fit_s:.0f}", f"{cost.edits:,}"])


def _completeness(rows: Sequence[Row]) -> Iterator[str]:
    """What the table lacks, and whether its rows can be compared."""
    there = {without_layers(row.method) for row in rows}
    if missing := [name for name in METHODS if name not in there]:
        yield f"\nNot run: {', '.join(missing)}."
    runs = {unit.run for row in rows for unit in row.units}
    if len(runs) == 1:
        yield "\nAll rows are of one command on one machine."
    else:
        yield f"\n**Times of {len(runs)} commands or machines**: results.csv has those of each row."


# Figure 3


def _relations(setup: Setup, rows: Sequence[Row], out: Path) -> Iterator[str]:
    """Literal and default mode with relations extracted, ranked and given."""
    found = at_fullest(_of(rows, list(RELATIONS.values())))
    known = {way: found[name] for way, name in RELATIONS.items() if name in found}
    if len({source for _, source in known}) < 2:
        return
    yield "\n### Figure 3: relations extracted, ranked and given\n"
    yield (
        "Extracted: the model lists relations, as in the paper. Ranked: it weighs those of the"
        " vocabulary. Given: the user names it, by Wikidata's label. After"
        f" {next(iter(known.values())).size:,} edits:\n"
    )
    yield from head(["mode", "relations", *SUCCESS, "extraction ms", "ms an edit"])
    for (mode, source), row in known.items():
        cost = Cost.of(row)
        extraction = NOTHING if cost.extraction_ms is None else f"{cost.extraction_ms:.0f}"
        cells = [cell(name, row.figures.get(name)) for name in SUCCESS]
        yield line([f"{mode}{row.mark}", source, *cells, extraction, f"{cost.ms:.0f}"])
    picture = figures.draw_relations(setup, known, out)
    yield f"\n![efficacy and paraphrase with relations extracted, ranked and given]({picture})"


# ROME


def _collapse(setup: Setup, rows: Sequence[Row], out: Path) -> Iterator[str]:
    """ROME next to r-ROME over the number of edits: one run of edits, scored on the way."""
    found = _of(rows, (ROME, RROME))
    sizes = by_size(found)
    methods = dict.fromkeys(row.method for row in found)
    if len(methods) < 2 or len(sizes) < 2:
        return
    shown = (EFFICACY, FOREIGN, FOREIGN_LOSS)
    yield "\n### ROME over the number of edits\n"
    yield (
        "Edits one after the other make ROME collapse (Gupta et al. 2024): then questions that have"
        " nothing to do with any case are answered otherwise, and what is true costs more.\n"
    )
    yield from head(["edits", *(f"{method}: {metric}" for method in methods for metric in shown)])
    for size, of_size in sizes.items():
        by_method = {row.method: row for row in of_size}
        cells = []
        for method in methods:
            known = by_method[method].figures if method in by_method else {}
            cells += [cell(metric, known.get(metric)) for metric in shown]
        yield line([f"{size:,}", *cells])
    yield f"\n![ROME and r-ROME over edits]({figures.draw_collapse(setup, found, shown, out)})"


def _covariance(rows: Sequence[Row]) -> Iterator[str]:
    """ROME with and without the covariance of keys, at each size that has both."""
    of_sizes = by_size(_of(rows, (ROME, IDENTITY)))
    both = [row for found in of_sizes.values() if len(found) > 1 for row in found]
    if not both:
        return
    yield "\n### What ROME's covariance is worth\n"
    yield (
        "ROME takes the covariance of keys from Wikipedia; here the model samples the texts itself."
        " With C = I there is none at all: the difference is the most that better texts could be"
        " expected to change.\n"
    )
    names = (*SUCCESS, *KEPT, FOREIGN, FOREIGN_LOSS)
    yield from head(["method", "edits", *names])
    for row in both:
        cells = [cell(name, row.figures.get(name)) for name in names]
        yield line([row.label, f"{row.size:,}", *cells])


def _layers(setup: Setup, out: Path) -> Iterator[str]:
    found = list(Sweeps(out, setup))
    if not found:
        return
    yield "\n### Layers, tried on cases outside of the test set\n"
    for command in dict.fromkeys(sweep.command for sweep in found):
        yield f"    {command}"
    yield ""
    yield from layers_table.table(found)
