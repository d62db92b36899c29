"""One method's run of edits: each case once, one after the other, each timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from evaluation.methods.account import Accountable, EditAccount
from evaluation.methods.method import EditCase, Method, UneditableCase
from evaluation.paper.journal import Journal
from evaluation.paper.memory import PeakMemory
from evaluation.paper.units import EditRecord
from server.errors import KgtError

_SAVING_SHARE = 0.05
"""At most this part of the time is spent on saving the system between edits."""


@runtime_checkable
class Resumable(Protocol):
    """A method whose edits so far can be written to a file and read again.

    Of others the edits cost next to nothing, and are made again.
    """

    def save(self, path: Path) -> None:
        """Write what all edits so far changed, whole or not at all."""
        ...

    def restore(self, path: Path) -> None:
        """Be as when this file was written. Nothing was edited since the method was made."""
        ...


class EditRun:
    """The edits of `cases`. `records` has what each came to, those of an earlier run included."""

    def __init__(
        self, method: Method, cases: Sequence[EditCase], journal: Journal, memory: PeakMemory
    ) -> None:
        self._method = method
        self._cases = cases
        self._journal = journal
        self._memory = memory
        self._saved_s, self._saving_s = time.perf_counter(), 0.0
        self.records: list[EditRecord] = []

    def go_on(self, most: int) -> None:
        """Begin after the last edit that was saved; not after more than `most`."""
        if isinstance(self._method, Resumable):
            self.records = self._journal.resumable(self._cases[:most])
            if self.records:
                self._method.restore(self._journal.state_path(len(self.records)))

    def until(self, count: int, tell: Callable[[], None]) -> None:
        """Edit until `count` of the cases are edited. `tell` is called after each edit."""
        for number in range(len(self.records), count):
            record = edited(self._method, self._cases[number], self._memory)
            self.records.append(record)
            self._journal.add_edit(number, record)
            self._save(is_last=number == count - 1)
            tell()

    def _save(self, is_last: bool) -> None:
        if not isinstance(self._method, Resumable):
            return
        started = time.perf_counter()
        if not is_last and self._saving_s > _SAVING_SHARE * (started - self._saved_s):
            return
        done = len(self.records)
        self._method.save(self._journal.state_path(done))
        self._journal.drop_states_before(done)
        self._saved_s = time.perf_counter()
        self._saving_s = self._saved_s - started


def edited(method: Method, case: EditCase, memory: PeakMemory) -> EditRecord:
    """Edit one case, and say what that cost. A case that is refused has the reason."""
    refused = ""
    memory.start()
    started = time.perf_counter()
    try:
        method.edit(case)
    except (UneditableCase, KgtError) as error:
        refused = type(error).__name__
    ms = (time.perf_counter() - started) * 1000
    peak_mb = memory.peak_mb()
    account = method.account() if isinstance(method, Accountable) else EditAccount()
    return EditRecord(
        case.id,
        round(ms, 3),
        round(peak_mb, 1),
        account.extraction_ms,
        account.triples,
        refused or account.refused,
    )
