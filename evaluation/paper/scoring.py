"""Scores a set of cases once all of its edits are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from evaluation.methods.method import EditCase, Probe
from evaluation.paper.kept import Asker
from evaluation.paper.metrics import METRICS, Asked, of_case
from evaluation.paper.units import CaseRecord
from server.errors import KgtError
from server.tuning.texts import says


class Item(Protocol):
    """A case of any data set: what is edited, what is asked, and how that is scored."""

    @property
    def id(self) -> str:
        """The case's name in its set."""
        ...

    @property
    def edits(self) -> Sequence[EditCase]:
        """What is edited when the case's turn comes, one after the other."""
        ...

    @property
    def asked(self) -> Sequence[str]:
        """The prompts that the edits should change. They are probes of no other case."""
        ...

    @property
    def needed_before(self) -> Sequence[str]:
        """The prompts whose answers before any edit are compared with."""
        ...

    @property
    def metrics(self) -> Sequence[str]:
        """The names of what is measured."""
        ...

    def measured(self, asking: Asking) -> CaseRecord:
        """What became of the case. Raises KgtError where the system cannot be asked."""
        ...


@dataclass(frozen=True, slots=True)
class Asking:
    """A system that was edited, what it said before, and what all of the edits were about."""

    system: Asker
    before: Asker
    subjects: frozenset[str]
    prompts: frozenset[str]

    @classmethod
    def of(cls, system: Asker, before: Asker, items: Sequence[Item]) -> Asking:
        """After the edits of these items."""
        edits = [edit for item in items for edit in item.edits]
        subjects = frozenset(edit.subject for edit in edits if edit.subject)
        return cls(system, before, subjects, frozenset(p for item in items for p in item.asked))

    def is_kept(self, prompt: str) -> bool:
        """Whether a prompt is answered as before the edits."""
        return self.system.generate(prompt) == self.before.generate(prompt)

    def is_about_others(self, prompt: str, subject: str) -> bool:
        """Whether a prompt is about a subject that was edited and is not this one."""
        return any(other in prompt for other in self.subjects - {subject})


@dataclass(frozen=True, slots=True)
class FactItem:
    """A case of CounterFact or of its extension."""

    case: EditCase

    @property
    def id(self) -> str:
        return self.case.id

    @property
    def edits(self) -> Sequence[EditCase]:
        return (self.case,)

    @property
    def asked(self) -> Sequence[str]:
        return (self.case.prompt, *self.case.paraphrases)

    @property
    def needed_before(self) -> Sequence[str]:
        return self.case.prompts

    @property
    def metrics(self) -> Sequence[str]:
        return METRICS

    def measured(self, asking: Asking) -> CaseRecord:
        """The metrics of `metrics.of_case`."""
        case = self.case
        asked = [self._asked(asking, prompt) for prompt in self.asked]
        others = [
            probe
            for probe in case.other_subjects
            if not asking.is_about_others(probe.prompt, case.subject)
        ]
        same = [probe for probe in case.same_subject if probe.prompt not in asking.prompts]
        metrics = of_case(asked[0], asked[1:], _kept(asking, others), _kept(asking, same))
        return CaseRecord(
            case.id, metrics, asked[0].answer, asked[0].new.mean_nll, asked[0].true.mean_nll
        )

    def _asked(self, asking: Asking, prompt: str) -> Asked:
        system, before = asking.system, asking.before.generate(prompt)
        answer = system.generate(prompt)
        return Asked(
            new=system.logprob(prompt, self.case.target_new),
            true=system.logprob(prompt, self.case.target_true),
            before=system.logprob(prompt, before) if before else None,
            answer=answer,
            says_new=says(answer, self.case.target_new),
        )


def _kept(asking: Asking, probes: Iterable[Probe]) -> list[bool]:
    return [asking.is_kept(probe.prompt) for probe in probes]


def scored(item: Item, asking: Asking) -> CaseRecord:
    """What became of an item. One that the system cannot be asked is lost, with the reason."""
    try:
        return item.measured(asking)
    except KgtError as error:
        lost: dict[str, float | None] = dict.fromkeys(item.metrics, 0.0)
        return CaseRecord(item.id, lost, refused=type(error).__name__)
