"""A unit: what one system did with one number of cases of one seed. A file each, once it is done.

A run that goes on skips the units whose files are there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from server.errors import StartupError

WORK = "work"
"""The folder, below that of the tables, in which a run keeps what it needs to go on."""


class OtherRun(StartupError):
    """The folder holds units of another model, data or base graph."""


@dataclass(frozen=True, slots=True)
class EditRecord:
    """What one edit cost, and what it changed."""

    case: str
    ms: float
    peak_mb: float
    extraction_ms: float | None = None
    triples: int | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """What one case came to. `metrics` are by name; what was not asked is None, or not there."""

    case: str
    metrics: dict[str, float | None]
    answer: str = ""
    nll_new: float | None = None
    nll_true: float | None = None
    refused: str = ""
    """Why the case could not be asked. All its metrics are 0 then."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What has to be the same for units to be compared."""

    model: str
    """The model as the tables name it."""
    fingerprint: str
    adapter: str
    dataset: str
    digest: str
    base: str
    part: str

    @property
    def folder(self) -> str:
        """Where its units are: the model, the set, and the base graph."""
        return "/".join(map(slug, (self.model, self.dataset, f"{self.base} {self.part}")))


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a method, a size and a seed."""

    setup: Setup
    method: str
    size: int
    seed: int
    edits: tuple[EditRecord, ...]
    cases: tuple[CaseRecord, ...]
    foreign_asked: int
    foreign_changed: int
    foreign_nlls: tuple[float, ...] = ()
    """For each foreign question, the mean negative log-likelihood of a token of what is true."""
    fit_s: float = 0.0
    """What was learned once, by this run or an earlier one, takes the time that it took."""
    resting_mb: float = 0.0
    """The memory that was in use before the method was made."""
    command: str = ""
    machine: str = ""
    date: str = ""
    left_out: dict[str, int] = field(default_factory=dict)
    """How many cases were passed over, by kind."""

    @property
    def run(self) -> tuple[str, str]:
        """What timed it: times of one command on one machine can be compared."""
        return self.command, self.machine

    def values(self, metric: str) -> list[float | None]:
        """What each case has in one metric."""
        return [case.metrics.get(metric) for case in self.cases]

    @property
    def triples(self) -> list[float | None]:
        """How many triples each edit changed."""
        return [edit.triples for edit in self.edits]

    @property
    def foreign(self) -> list[float | None]:
        """1 for each foreign answer that changed, and 0 for each other."""
        return [float(n < self.foreign_changed) for n in range(self.foreign_asked)]


class Units:
    """The finished units in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / WORK / "units"

    def path(self, setup: Setup, method: str, size: int, seed: int) -> Path:
        """Where this unit is, or will be."""
        return self._folder / setup.folder / slug(method) / f"{size}-{seed}.json"

    def has(self, setup: Setup, method: str, size: int, seed: int) -> bool:
        """Whether this unit is done. Raises OtherRun if it is one of another setup."""
        path = self.path(setup, method, size, seed)
        if not path.exists():
            return False
        found = read(path).setup
        if found != setup:
            raise OtherRun(
                f"{path} is of another model, data set or base graph ({found});"
                " name another folder with --out"
            )
        return True

    def write(self, unit: Unit) -> None:
        """Write a unit's file, whole or not at all."""
        path = self.path(unit.setup, unit.method, unit.size, unit.seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        building = path.with_suffix(".building")
        building.write_text(json.dumps(asdict(unit), ensure_ascii=False, indent=1) + "\n")
        building.replace(path)

    def __iter__(self) -> Iterator[Unit]:
        """All that are done, in the order of their files' names."""
        return map(read, sorted(self._folder.rglob("*.json")))


def read(path: Path) -> Unit:
    """Read a unit's file."""
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    edits = tuple(EditRecord(**edit) for edit in row.pop("edits"))
    cases = tuple(CaseRecord(**case) for case in row.pop("cases"))
    setup, nlls = Setup(**row.pop("setup")), tuple(row.pop("foreign_nlls", ()))
    return Unit(setup=setup, edits=edits, cases=cases, foreign_nlls=nlls, **row)


def slug(text: str) -> str:
    """The text as the name of a file."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()
