"""The problem that Algorithm 1 is given, the states of its search, and the solution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from server.graph.edit import StopReason
from server.graph.neighborhood import Neighborhood
from server.graph.triple import Stamp, Triple
from server.tuning.facts import RetrievalRules
from server.tuning.objective import Probabilities
from server.tuning.texts import same_answer, says


class Stopping(Enum):
    """When to stop: once Answer's facts favour the feedback, or once Eq. 7 is at most epsilon."""

    ANSWER = "answer"
    LITERAL = "literal"


class Removal(Enum):
    """What may be removed."""

    CONFLICTING = "conflicting"
    """Facts that conflict with the feedback."""
    LITERAL = "literal"
    """As in Algorithm 1: one triple for each added, the lowest reasoning probability first."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Problem:
    """One query and its feedback, with all that the algorithm decides from."""

    view: Neighborhood
    personalized: tuple[Triple, ...]
    """H, in the order in which the relations were found."""
    feedback: str
    answer_before: str | None
    probabilities: Probabilities
    stopping: Stopping = Stopping.ANSWER
    removal: Removal = Removal.CONFLICTING
    epsilon: float = math.inf
    retrieval: RetrievalRules = field(default_factory=RetrievalRules)
    max_removed: int = 10
    refuted: Triple | None = None
    """The fact that the answer before rests on. Adding to H takes it out."""
    scopes_before: Mapping[Triple, float] = field(default_factory=dict)
    """The scope weights in `view`. A triple of H that is there already may get a larger one."""

    @property
    def known_before(self) -> Probabilities:
        """What the model said, as it counts in `view`."""
        return replace(self.probabilities, scopes=self.scopes_before)


@dataclass(frozen=True, slots=True)
class Solution:
    """The view that was reached, and the changes that led there, in order."""

    view: Neighborhood
    added: tuple[Triple, ...]
    removed: tuple[Triple, ...]
    stop_reason: StopReason
    holds: bool
    """Whether the stop condition holds in `view`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change. A refuted triple belongs to the added one that refutes it."""

    triple: Triple
    adds: bool
    refuted_by: Triple | None = None


@dataclass(frozen=True, slots=True)
class State:
    """A problem and the changes made so far, in order."""

    problem: Problem
    changes: tuple[Step, ...] = ()

    def adding(self, triple: Triple) -> State:
        """With one more triple of H."""
        return replace(self, changes=(*self.changes, Step(triple, adds=True)))

    def removing(self, triple: Triple) -> State:
        """With one triple less, which nothing that was added refutes."""
        return replace(self, changes=(*self.changes, Step(triple, adds=False)))

    def refuting(self, added: Triple) -> State:
        """Without the triples that `added` contradicts.

        They are the fact that the answer before rests on, whatever its relation, and those of the
        head and relation of `added` that say the answer before.
        """
        before, feedback = self.problem.answer_before, self.problem.feedback
        contradicted = [self.problem.refuted] if self.problem.refuted else []
        if before is not None:
            contradicted += [
                v.triple
                for v in self.view.slice(added.relation).triples
                if v.triple.head == added.head
                and says(before, v.triple.tail.text)
                and not same_answer(v.triple.tail.text, feedback)
            ]
        refuted = tuple(
            Step(z, adds=False, refuted_by=added)
            for z in dict.fromkeys(contradicted)
            if z != added and self.view.find(z) is not None
        )
        return replace(self, changes=self.changes + refuted)

    def undoing(self, change: Step) -> State:
        """Without `change` and, if it added a triple, without what that refuted.

        The fact that the answer before rests on stays out as long as any triple is added.
        """
        adds = any(c.adds for c in self.changes if c is not change)

        def stays(other: Step) -> bool:
            if other is change or other.refuted_by is None:
                return other is not change
            return (
                adds if other.triple == self.problem.refuted else other.refuted_by != change.triple
            )

        return replace(self, changes=tuple(filter(stays, self.changes)))

    @property
    def added(self) -> tuple[Triple, ...]:
        """What was added, in order."""
        return tuple(c.triple for c in self.changes if c.adds)

    @property
    def removed(self) -> tuple[Triple, ...]:
        """What was removed, in order."""
        return tuple(c.triple for c in self.changes if not c.adds)

    @property
    def view(self) -> Neighborhood:
        """The problem's view after the changes."""
        view = self.problem.view
        revision = view.revision + 1
        for position, change in enumerate(self.changes):
            if change.adds:
                view = view.with_added(change.triple, Stamp(revision, position))
            else:
                view = view.without(change.triple)
        return view

    def solution(self, reason: StopReason, *, holds: bool) -> Solution:
        """This state as the solution."""
        return Solution(self.view, self.added, self.removed, reason, holds)
