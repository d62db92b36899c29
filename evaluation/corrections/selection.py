"""Which cases of a set are asked, in which order, and which of them are one user's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.corrections.cases import Case
from evaluation.corrections.reading import Reading
from evaluation.corrections.sets import CaseSet
from server.errors import StartupError


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases to ask: those of one half, from the one numbered `first` on."""

    half: str
    seed: int = 0
    first: int = 0
    cases: int | None = None


def chosen(of: CaseSet, reading: Reading, selection: Selection) -> list[Case]:
    """The cases to ask. Raises StartupError if there are none."""
    of_half = [case for case in reading.cases if case.half == selection.half]
    cases = list(of.complete(of_half, selection.seed))
    if of.drawn:
        cases.sort(key=lambda case: _lot(case, selection.seed))
    cases = cases[selection.first :][: selection.cases]
    if not cases:
        raise StartupError(
            f"the {selection.half} half of {of.name} has no case from number {selection.first} on"
        )
    return cases


def by_user(of: CaseSet, cases: Sequence[Case]) -> list[tuple[Case, ...]]:
    """The cases, in groups that are one user's each."""
    size = of.together or len(cases)
    return [tuple(cases[start : start + size]) for start in range(0, len(cases), size)]


def _lot(case: Case, seed: int) -> bytes:
    """Orders the cases by chance, in the same way with every version of Python."""
    return hashlib.sha256(f"{seed} {case.id}".encode()).digest()
