"""The figures of all units in a folder: of each system, at each size, over seeds."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from evaluation.methods.registry import METHODS, without_layers
from evaluation.paper.command import COUNTERFACT, EXTENSION
from evaluation.paper.metrics import Figure, figure
from evaluation.paper.units import EditRecord, Setup, Unit
from training.sources import HELD_OUT_SUBJECTS

TRIPLES, FOREIGN = "triples per edit", "foreign answers changed"
FOREIGN_LOSS = "loss of foreign facts"
TRAINED_ON = 1 - HELD_OUT_SUBJECTS
"""The part of all subjects of CounterFact and its extension that the adapter was trained on."""


def is_seen(setup: Setup) -> bool:
    """Whether the adapter saw most of the cases in training."""
    is_of_training = setup.dataset in (COUNTERFACT, EXTENSION)
    return bool(setup.adapter) and setup.part == "all" and is_of_training


@dataclass(frozen=True)
class Row:
    """One system at one size: its units, one for each seed."""

    setup: Setup
    method: str
    size: int
    units: tuple[Unit, ...]

    @cached_property
    def figures(self) -> Mapping[str, Figure]:
        """The figures by metric, in the order in which the cases have them."""
        cases = [case for unit in self.units for case in unit.cases]
        names = dict.fromkeys(name for case in cases for name in case.metrics)
        figures = {}
        for name in names:
            figures[name] = figure(unit.values(name) for unit in self.units)
        figures[TRIPLES] = figure(unit.triples for unit in self.units)
        figures[FOREIGN] = figure(unit.foreign for unit in self.units)
        figures[FOREIGN_LOSS] = figure(unit.foreign_nlls for unit in self.units)
        return {name: one for name, one in figures.items() if one is not None}

    @property
    def mark(self) -> str:
        """What marks a row whose cases the adapter saw in training."""
        return " †" if is_seen(self.setup) else ""

    @property
    def label(self) -> str:
        """The method, marked."""
        return f"{self.method}{self.mark}"

    @property
    def edits(self) -> list[EditRecord]:
        """The edits of all seeds."""
        return [edit for unit in self.units for edit in unit.edits]

    @property
    def refused_edits(self) -> int:
        """How many edits the system refused."""
        return sum(bool(edit.refused) for edit in self.edits)

    @property
    def refused_cases(self) -> int:
        """How many cases it could not be asked."""
        return sum(bool(case.refused) for unit in self.units for case in unit.cases)


@dataclass(frozen=True, slots=True)
class Cost:
    """What an edit costs, over the edits of one row."""

    edits: int
    ms: float
    ms_deviation: float
    median_ms: float
    extraction_ms: float | None
    """The mean part in which relations are found; None for a system that finds none."""
    peak_mb: float
    """The highest of all edits."""
    own_mb: float
    """The same without what was in use before the method was made."""
    fit_s: float

    @classmethod
    def of(cls, row: Row) -> Cost:
        """The cost of a row's edits."""
        times = [edit.ms for edit in row.edits]
        extraction = [e.extraction_ms for e in row.edits if e.extraction_ms is not None]
        return cls(
            edits=len(times),
            ms=statistics.fmean(times),
            ms_deviation=statistics.stdev(times) if len(times) > 1 else 0.0,
            median_ms=statistics.median(times),
            extraction_ms=statistics.fmean(extraction) if extraction else None,
            peak_mb=max(edit.peak_mb for edit in row.edits),
            own_mb=max(e.peak_mb - u.resting_mb for u in row.units for e in u.edits),
            fit_s=max(unit.fit_s for unit in row.units),
        )


def rows_of(units: Iterable[Unit]) -> list[Row]:
    """A row for each system and size, by setup; systems in the order of the registry."""
    together: dict[tuple[Setup, str, int], list[Unit]] = defaultdict(list)
    for unit in units:
        together[unit.setup, unit.method, unit.size].append(unit)
    rows = [Row(*key, tuple(sorted(found, key=_seed))) for key, found in together.items()]
    return sorted(rows, key=_place)


def by_size(rows: Sequence[Row]) -> dict[int, list[Row]]:
    """The rows of each size, ascending."""
    found: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=_size):
        found[row.size].append(row)
    return found


def at_size(rows: Sequence[Row], size: int) -> dict[str, Row]:
    """The rows of one size, by method."""
    return {row.method: row for row in rows if row.size == size}


def at_fullest(rows: Sequence[Row]) -> dict[str, Row]:
    """The rows of the size that the most methods have, by method; of several the largest size."""
    fullest = max(_sizes(rows), key=lambda size: (len(at_size(rows, size)), size), default=0)
    return at_size(rows, fullest)


def of_one_run(rows: Sequence[Row]) -> list[Row]:
    """A row for each method, so that as many as can be were timed by one command on one machine.

    Methods that are not in that run are at their own largest size.
    """
    largest: dict[str, Row] = {}
    runs: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for row in sorted(rows, key=_size):
        largest[row.method] = row
        for run in dict.fromkeys(unit.run for unit in row.units):
            of_run = tuple(unit for unit in row.units if unit.run == run)
            runs[run][row.method] = replace(row, units=of_run)
    fullest = max(runs.values(), key=len, default={})
    return list((largest | fullest).values())


def shared_size(groups: Iterable[Sequence[Row]]) -> int | None:
    """The largest size of which each group has rows; None if there is none."""
    sizes = [_sizes(rows) for rows in groups]
    return max(set.intersection(*sizes), default=None) if sizes else None


def _sizes(rows: Sequence[Row]) -> set[int]:
    return {row.size for row in rows}


def by_setup(rows: Sequence[Row]) -> dict[Setup, list[Row]]:
    """The rows of each setup, in their order."""
    found: dict[Setup, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.setup].append(row)
    return found


def _seed(unit: Unit) -> int:
    return unit.seed


def _size(row: Row) -> int:
    return row.size


def _place(row: Row) -> tuple[str, str, str, str, int, int, str]:
    setup = row.setup
    names, name = list(METHODS), without_layers(row.method)
    place = names.index(name) if name in names else len(names)
    return setup.dataset, setup.base, setup.part, setup.model, row.size, place, row.method
