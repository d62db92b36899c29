"""The paper's protocol: each pair enters once, nothing is restored, and then all is scored.

The sizes of one seed are nested: the first 10 of its cases, the first 100, and so on. They are one
run of edits, scored at each size. Scoring changes nothing, so each size is what it would be by
itself.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from evaluation.methods.method import EditCase, Method, Probe
from evaluation.methods.registry import Entry
from evaluation.methods.setting import EvalModel
from evaluation.paper.editing import EditRun
from evaluation.paper.journal import Journal
from evaluation.paper.kept import Asker, FirstLines, Kept
from evaluation.paper.memory import PeakMemory, give_back
from evaluation.paper.reading import LeftOut
from evaluation.paper.scoring import Asking, Item, scored
from evaluation.paper.time_left import Estimate, Estimator
from evaluation.paper.units import WORK, CaseRecord, Setup, Unit, Units, slug

_PROCESSORS = Path("/proc/cpuinfo")


class Bar(Protocol):
    """Shows how far a run is. All times are expected seconds."""

    def expect(self, run_s: float) -> None:
        """The parts together are expected to take so long."""
        ...

    def begin(self, what: str, steps: int, part_s: float, done: int = 0) -> None:
        """Begin a part of so many steps, of which an earlier run made the first `done`."""
        ...

    def step(self) -> None:
        """One step more is done."""
        ...


@runtime_checkable
class Spared(Protocol):
    """A method that found in files what it would have had to learn."""

    @property
    def spared_s(self) -> float:
        """How long it once took to learn that."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run: each method, for each seed, at each size."""

    setup: Setup
    methods: Mapping[str, Entry]
    sizes: Sequence[int]
    chosen: Mapping[int, Sequence[Item]]
    """The cases of each seed, in their order: as many as the largest size needs."""
    outside: Sequence[EditCase]
    """Cases that are not tested, for fitting."""
    foreign: Sequence[Probe]
    """Questions about what no case is about: their answers should not change."""
    left_out: Sequence[LeftOut] = ()
    """What could not be used of the data set, and what a draw passed over."""
    command: str = ""

    def sizes_of(self, seed: int) -> list[int]:
        """The sizes, ascending. Where there are fewer cases than that, all of them are a size."""
        most = len(self.chosen[seed])
        return sorted({min(size, most) for size in self.sizes})


@dataclass(frozen=True, slots=True)
class _Part:
    """What is not done yet of one method with one seed."""

    name: str
    entry: Entry
    seed: int
    sizes: Sequence[int]
    cases: Sequence[EditCase]
    """All that are edited, in their order."""
    estimate: Estimate

    @property
    def expected_s(self) -> float:
        return self.estimate.total_s(len(self.cases), self.sizes)


class Runner:
    """Runs a plan, and writes a file for each unit. `on_method` is called after each method.

    `parts` are what is not done yet.
    """

    def __init__(
        self,
        plan: Plan,
        model: EvalModel,
        out: Path,
        bar: Bar,
        on_method: Callable[[], object] = lambda: None,
    ) -> None:
        self._plan = plan
        self._model = model
        self._out = out
        self._units = Units(out)
        self._before = out / WORK / "before" / plan.setup.folder
        self._bar = bar
        self._on_method = on_method
        self._memory = PeakMemory()
        self._parts = list(self._missing())

    def _missing(self) -> Iterator[_Part]:
        plan = self._plan
        estimator = Estimator(self._units, plan.setup, len(plan.foreign))
        for name, entry in plan.methods.items():
            for seed in plan.chosen:
                sizes = [
                    size
                    for size in plan.sizes_of(seed)
                    if not self._units.has(plan.setup, name, size, seed)
                ]
                if sizes:
                    estimate = estimator.estimate(name, entry, seed, sizes)
                    cases = _edits(plan.chosen[seed][: max(sizes)])
                    yield _Part(name, entry, seed, sizes, cases, estimate)

    @property
    def expected_s(self) -> dict[str, float]:
        """How long each method that is not done is expected to take."""
        expected: dict[str, float] = defaultdict(float)
        for part in self._parts:
            expected[part.name] += part.expected_s
        return dict(expected)

    def run(self) -> None:
        """Run whatever is not done yet."""
        self._bar.expect(sum(self.expected_s.values()))
        for _, parts in groupby(self._parts, key=lambda part: part.name):
            for part in parts:
                self._run_part(part)
            self._on_method()

    def _run_part(self, part: _Part) -> None:
        """One run of edits, scored at the sizes that are missing.

        It begins without a model in memory, so that a method has only its own.
        """
        plan, entry, estimate = self._plan, part.entry, part.estimate
        items = plan.chosen[part.seed][: max(part.sizes)]
        what = f"{part.name}, seed {part.seed}"
        self._model.release()
        give_back()
        resting_mb = self._memory.now_mb()
        self._bar.begin(f"{what}: preparing", 1, estimate.fit_s)
        with contextlib.closing(entry.make(part.name, self._model)) as method:
            fit_s = self._fit(method)
            asked = FirstLines(method)
            before = Kept(self._before / f"{slug(entry.unedited)}.jsonl", asked)
            self._ask_before(f"{what}: before", before, items, estimate.before_s)
            system = asked if entry.edits else before
            journal = self._journal(part)
            run = EditRun(method, part.cases, journal, self._memory)
            run.go_on(most=len(_edits(items[: part.sizes[0]])))
            done = 0
            for size in part.sizes:
                count = len(_edits(items[:size]))
                edits_s = (count - done) * estimate.edit_s
                self._bar.begin(f"{what}: edits", count - done, edits_s, len(run.records) - done)
                run.until(count, self._bar.step)
                done = count
                asking = Asking.of(system, before, items[:size])
                scores_s = size * estimate.score_s
                cases = self._scored(f"{what}: scores", items[:size], asking, journal, scores_s)
                unit = Unit(
                    setup=plan.setup,
                    method=part.name,
                    size=size,
                    seed=part.seed,
                    edits=tuple(run.records),
                    cases=cases,
                    foreign_asked=len(plan.foreign),
                    foreign_changed=sum(not asking.is_kept(p.prompt) for p in plan.foreign),
                    foreign_nlls=tuple(_nlls(system, plan.foreign)),
                    fit_s=fit_s,
                    resting_mb=round(resting_mb, 1),
                    command=plan.command,
                    machine=machine(),
                    date=f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
                    left_out=dict(Counter(one.kind for one in plan.left_out)),
                )
                self._units.write(unit)

    def _fit(self, method: Method) -> float:
        started = time.perf_counter()
        method.fit(self._plan.outside)
        fit_s = time.perf_counter() - started
        self._bar.step()
        return fit_s + (method.spared_s if isinstance(method, Spared) else 0.0)

    def _journal(self, part: _Part) -> Journal:
        setup = self._plan.setup
        folder = Path(setup.folder) / slug(part.name) / str(part.seed)
        return Journal(self._out / WORK / "journals" / folder, setup)

    def _ask_before(self, what: str, before: Kept, items: Sequence[Item], part_s: float) -> None:
        """Ask the system all that is compared with later, as long as nothing is edited."""
        needed = [prompt for item in items for prompt in item.needed_before]
        prompts = dict.fromkeys([*needed, *(probe.prompt for probe in self._plan.foreign)])
        self._bar.begin(what, len(prompts), part_s)
        for prompt in prompts:
            before.generate(prompt)
            self._bar.step()

    def _scored(
        self, what: str, items: Sequence[Item], asking: Asking, journal: Journal, part_s: float
    ) -> tuple[CaseRecord, ...]:
        """What became of each item; what an earlier run scored is taken from the journal."""
        size = len(items)
        records = dict(journal.scores(size))
        self._bar.begin(what, size, part_s, len(records))
        for item in items:
            if item.id not in records:
                records[item.id] = scored(item, asking)
                journal.add_score(size, records[item.id])
                self._bar.step()
        return tuple(records[item.id] for item in items)


def _edits(items: Sequence[Item]) -> list[EditCase]:
    return [edit for item in items for edit in item.edits]


def _nlls(system: Asker, probes: Sequence[Probe]) -> Iterator[float]:
    """What a token of each probe's answer costs."""
    for probe in probes:
        yield system.logprob(probe.prompt, probe.answer).mean_nll


def machine() -> str:
    """This machine in a few words: its processor, how many cores that has, and the GPU, if any."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    name = platform.machine()
    if _PROCESSORS.exists():
        names = re.findall(r"model name\s*: (.*)", _PROCESSORS.read_text())
        name = names[0] if names else name
    return f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
