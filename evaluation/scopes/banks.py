"""The facts of one user, and what is asked of them: from the sets of corrections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.corrections.cases import Case, Question, Stage
from evaluation.corrections.expectations import AsBefore, NotOverwritten, Says, SaysNot
from evaluation.corrections.selection import Selection, by_user, chosen
from evaluation.corrections.sets import CaseSet

ALIAS = "alias"
"""Questions that name a subject in a way that only the world knows. They are not counted in all."""


@dataclass(frozen=True, slots=True)
class Taught:
    """The query that taught a fact, and its answer."""

    query: str
    answer: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A question in other words than a fact's own."""

    query: str
    right: int | None
    """The number of the fact that answers it; None where no fact may."""
    group: str
    """What it is counted with: the name of its set, or of a part of it."""

    @property
    def is_paraphrase(self) -> bool:
        return self.right is not None


@dataclass(frozen=True, slots=True)
class Bank:
    """All facts of one user, and the questions."""

    facts: tuple[Taught, ...]
    probes: tuple[Probe, ...]


def banks_of(of: CaseSet, data: Path, selection: Selection) -> list[Bank]:
    """The users of a set who are asked anything in other words. Raises StartupError."""
    reading = of.read(data)
    if not any(case.half == selection.half for case in reading.cases):
        return []
    users = by_user(of, chosen(of, reading, selection))
    return [bank for cases in users if (bank := _bank(of.name, cases)).probes]


def _bank(name: str, cases: Sequence[Case]) -> Bank:
    facts = _Facts()
    for case in cases:
        for correction in (*case.background.corrections, *case.corrections):
            facts.teach(Taught(correction.query, correction.answer))
    asked: dict[str, Probe] = {}
    for case in cases:
        for question in case.questions:
            for probe in _probes(name, case, question, facts):
                asked.setdefault(_same_query(probe.query), probe)
    return Bank(facts.taught, tuple(asked.values()))


class _Facts:
    """Facts by their query. A second answer to a query takes the first one's place."""

    def __init__(self) -> None:
        self._by_query: dict[str, Taught] = {}

    @property
    def taught(self) -> tuple[Taught, ...]:
        return tuple(self._by_query.values())

    def teach(self, taught: Taught) -> None:
        self._by_query[_same_query(taught.query)] = taught

    def number_of(self, query: str) -> int | None:
        """The number of the fact that this very query taught."""
        key = _same_query(query)
        return list(self._by_query).index(key) if key in self._by_query else None


def _probes(name: str, case: Case, question: Question, facts: _Facts) -> Iterator[Probe]:
    """The probe that a question is, if it is asked after the corrections and in other words."""
    if question.stage is not Stage.CORRECTED or facts.number_of(question.query) is not None:
        return
    if isinstance(question.expectation, Says):
        group = f"{name}, {ALIAS}" if question.kind == ALIAS else name
        yield Probe(question.query, facts.number_of(case.corrections[-1].query), group)
    elif isinstance(question.expectation, AsBefore | NotOverwritten | SaysNot):
        yield Probe(question.query, None, name)


def _same_query(query: str) -> str:
    return query.strip().casefold()


def groups(banks: Iterable[Bank]) -> list[str]:
    """The names of what is counted together, in order."""
    return list(dict.fromkeys(probe.group for bank in banks for probe in bank.probes))
