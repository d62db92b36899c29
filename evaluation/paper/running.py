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
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from evaluation.methods.account import Accountable, EditAccount
from evaluation.methods.method import EditCase, Method, UneditableCase
from evaluation.methods.registry import Entry
from evaluation.methods.setting import EvalModel
from evaluation.paper.kept import FirstLines, Kept
from evaluation.paper.memory import PeakMemory, give_back
from evaluation.paper.reading import LeftOut
from evaluation.paper.scoring import Asking, Item, scored
from evaluation.paper.units import WORK, EditRecord, Setup, Unit, Units, slug
from server.errors import KgtError

_PROCESSORS = Path("/proc/cpuinfo")


class Bar(Protocol):
    """Shows how far a run is."""

    def begin(self, what: str, steps: int) -> None:
        """Begin a part of so many steps."""
        ...

    def step(self) -> None:
        """One step more is done."""
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
    foreign: Sequence[str]
    """Prompts about what no case is about: their answers should not change."""
    left_out: Sequence[LeftOut] = ()
    """What could not be used of the data set, and what a draw passed over."""
    command: str = ""

    def sizes_of(self, seed: int) -> list[int]:
        """The sizes, ascending. Where there are fewer cases than that, all of them are a size."""
        most = len(self.chosen[seed])
        return sorted({min(size, most) for size in self.sizes})


class Runner:
    """Runs a plan, and writes a file for each unit. `on_method` is called after each method."""

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
        self._units = Units(out)
        self._before = out / WORK / "before" / plan.setup.folder
        self._bar = bar
        self._on_method = on_method
        self._memory = PeakMemory()

    def run(self) -> None:
        """Run whatever is not done yet."""
        for name in self._plan.methods:
            missing = {seed: self._missing(name, seed) for seed in self._plan.chosen}
            for seed, sizes in missing.items():
                if sizes:
                    self._run_seed(name, seed, sizes)
            if any(missing.values()):
                self._on_method()

    def _missing(self, name: str, seed: int) -> list[int]:
        setup = self._plan.setup
        sizes = self._plan.sizes_of(seed)
        return [size for size in sizes if not self._units.has(setup, name, size, seed)]

    def _run_seed(self, name: str, seed: int, missing: Sequence[int]) -> None:
        """One run of edits, scored at the sizes that are missing.

        It begins without a model in memory, so that a method has only its own.
        """
        plan, entry = self._plan, self._plan.methods[name]
        items = plan.chosen[seed][: max(missing)]
        self._model.release()
        give_back()
        resting_mb = self._memory.now_mb()
        with contextlib.closing(entry.make(name, self._model)) as method:
            started = time.perf_counter()
            method.fit(plan.outside)
            fit_s = time.perf_counter() - started
            asked = FirstLines(method)
            before = Kept(self._before / f"{slug(entry.unedited)}.jsonl", asked)
            self._ask_before(f"{name}, seed {seed}: before", before, items)
            system = asked if entry.edits else before
            edits: list[EditRecord] = []
            done = 0
            for size in missing:
                self._bar.begin(f"{name}, seed {seed}: edits", size - done)
                edits += self._edited_all(method, items[done:size])
                done = size
                self._bar.begin(f"{name}, seed {seed}: scores", size)
                asking = Asking.of(system, before, items[:size])
                unit = Unit(
                    setup=plan.setup,
                    method=name,
                    size=size,
                    seed=seed,
                    edits=tuple(edits),
                    cases=scored(items[:size], asking, self._bar.step),
                    foreign_asked=len(plan.foreign),
                    foreign_changed=sum(not asking.is_kept(p) for p in plan.foreign),
                    fit_s=fit_s,
                    resting_mb=round(resting_mb, 1),
                    command=plan.command,
                    machine=machine(),
                    date=f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
                    left_out=dict(Counter(one.kind for one in plan.left_out)),
                )
                self._units.write(unit)

    def _ask_before(self, what: str, before: Kept, items: Sequence[Item]) -> None:
        """Ask the system all that is compared with later, as long as nothing is edited."""
        needed = [prompt for item in items for prompt in item.needed_before]
        prompts = dict.fromkeys([*needed, *self._plan.foreign])
        self._bar.begin(what, len(prompts))
        for prompt in prompts:
            before.generate(prompt)
            self._bar.step()

    def _edited_all(self, method: Method, items: Sequence[Item]) -> Iterator[EditRecord]:
        for item in items:
            for case in item.edits:
                yield self._edited(method, case)
            self._bar.step()

    def _edited(self, method: Method, case: EditCase) -> EditRecord:
        refused = ""
        self._memory.start()
        started = time.perf_counter()
        try:
            method.edit(case)
        except (UneditableCase, KgtError) as error:
            refused = type(error).__name__
        ms = (time.perf_counter() - started) * 1000
        peak_mb = self._memory.peak_mb()
        account = method.account() if isinstance(method, Accountable) else EditAccount()
        return EditRecord(
            case.id,
            round(ms, 3),
            round(peak_mb, 1),
            account.extraction_ms,
            account.triples,
            refused or account.refused,
        )


def machine() -> str:
    """This machine in a few words: its processor, how many cores that has, and the GPU, if any."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    name = platform.machine()
    if _PROCESSORS.exists():
        names = re.findall(r"model name\s*: (.*)", _PROCESSORS.read_text())
        name = names[0] if names else name
    return f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
