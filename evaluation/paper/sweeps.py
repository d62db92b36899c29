"""Which layers were tried for which method, on cases outside of the test set: a file for each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.methods.method import EditCase
from evaluation.methods.registry import Entry, at_layers
from evaluation.methods.weights.layers import Layers
from evaluation.methods.weights.sweep import Tried, best
from evaluation.paper.units import WORK, OtherRun, Setup, slug


@dataclass(frozen=True, slots=True)
class Sweep:
    """What was tried for one method with one model. `setup` has no base graph."""

    setup: Setup
    method: str
    published: Layers
    """The paper's layers, at the same relative depth: what is edited without a sweep."""
    cases: tuple[str, ...]
    """The ids of the cases that were edited, with each of the candidates."""
    tried: tuple[Tried, ...] = ()
    command: str = ""
    machine: str = ""
    date: str = ""

    @property
    def best(self) -> Layers:
        """The layers whose edits took best; of equal ones the published, if they are among them."""
        first = sorted(self.tried, key=lambda one: one.layers != self.published)
        return best(first).layers


class Sweeps:
    """The sweeps in a folder, of one model, data set and part."""

    def __init__(self, out: Path, setup: Setup) -> None:
        self.setup = replace(setup, base="")
        self._folder = out / WORK / "sweeps" / self.setup.folder

    def of(self, method: str) -> Sweep | None:
        """The method's sweep, if there is one. Raises OtherRun if it is of another setup."""
        path = self._path(method)
        if not path.exists():
            return None
        found = _read(path)
        if found.setup != self.setup:
            raise OtherRun(f"{path} is of another model or data set; name another --out")
        return found

    def write(self, sweep: Sweep) -> None:
        """Write a sweep's file, whole or not at all."""
        path = self._path(sweep.method)
        path.parent.mkdir(parents=True, exist_ok=True)
        building = path.with_suffix(".building")
        building.write_text(json.dumps(asdict(sweep), ensure_ascii=False, indent=1) + "\n")
        building.replace(path)

    def __iter__(self) -> Iterator[Sweep]:
        """All of them, in the order of their files' names."""
        found = map(_read, sorted(self._folder.glob("*.json")))
        return (sweep for sweep in found if sweep.setup == self.setup)

    def at_best(self, methods: Mapping[str, Entry], tested: Sequence[EditCase]) -> dict[str, Entry]:
        """The methods, each at its best layers; what was not swept stays at the published ones.

        A row whose layers are not the published ones says so in its name. Raises OtherRun if a
        sweep was made on cases that are tested.
        """
        ids = {case.id for case in tested}
        found: dict[str, Entry] = {}
        for name, entry in methods.items():
            sweep = self.of(name)
            if sweep is None or sweep.best == sweep.published:
                found[name] = entry
            elif ids.intersection(sweep.cases):
                raise OtherRun(f"the layers of {name} were chosen on cases that are tested here")
            else:
                row, at_best = at_layers(name, sweep.best)
                found[row] = at_best
        return found

    def _path(self, method: str) -> Path:
        return self._folder / f"{slug(method)}.json"


def _read(path: Path) -> Sweep:
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    tried = tuple(_tried(one) for one in row.pop("tried"))
    setup, published = Setup(**row.pop("setup")), tuple(row.pop("published"))
    cases = tuple(row.pop("cases"))
    return Sweep(setup=setup, published=published, cases=cases, tried=tried, **row)


def _tried(row: dict[str, Any]) -> Tried:
    return Tried(tuple(row.pop("layers")), **row)
