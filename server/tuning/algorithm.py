"""Algorithm 1, line by line, and the default mode that stops when Answer would say the feedback.

Both are pure: from a view and the model's probabilities to the view after, with no further model
call. Where a probability is needed that the model was not asked for, MissingProbabilities names it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from server.graph.edit import StopReason
from server.graph.neighborhood import Neighborhood
from server.graph.triple import Stamp, Triple
from server.tuning.facts import RetrievalRules, facts_for_answer
from server.tuning.objective import (
    MissingProbabilities,
    Probabilities,
    answer_probability,
    comparable,
    loss,
)
from server.tuning.texts import same_answer, says


class Stopping(Enum):
    """When enough is changed: Answer's facts favour the feedback, or Eq. 7 is at most epsilon."""

    ANSWER = "answer"
    LITERAL = "literal"


class Removal(Enum):
    """What may be removed: what conflicts, the lowest reasoning probability in turns (Algorithm 1),
    or nothing."""

    CONFLICTING = "conflicting"
    LITERAL = "literal"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Problem:
    """One query and its feedback, all that the algorithm decides from."""

    view: Neighborhood
    personalized: tuple[Triple, ...]
    """H, in the order that the relations were found in."""
    feedback: str
    answer_before: str | None
    probabilities: Probabilities
    stopping: Stopping = Stopping.ANSWER
    removal: Removal = Removal.CONFLICTING
    epsilon: float = math.inf
    retrieval: RetrievalRules = field(default_factory=RetrievalRules)
    max_removed: int = 10


@dataclass(frozen=True, slots=True)
class Solution:
    """The view that was reached, and what was done to get there, in order."""

    view: Neighborhood
    added: tuple[Triple, ...]
    removed: tuple[Triple, ...]
    stop_reason: StopReason
    holds: bool
    """Whether the stop condition holds in `view`."""


Facts = tuple[Triple, ...]
"""What an answer rests on: with the same facts in the same order the model says the same."""


def solve(problem: Problem, rejected: Collection[Facts] = ()) -> Solution:
    """The view after the feedback.

    States whose facts are among `rejected` do not count as solutions: the model was asked, and
    answered otherwise. Raises MissingProbabilities.
    """
    if problem.removal is Removal.LITERAL:
        return _in_turns(problem, rejected)
    return _add_then_remove(problem, rejected)


def facts_of(problem: Problem, view: Neighborhood) -> Facts:
    """The facts that Answer would read in `view`."""
    facts = facts_for_answer(view, problem.probabilities.relations, problem.retrieval)
    return tuple(v.triple for v in facts)


def margin(problem: Problem, solution: Solution) -> float:
    """By how much the feedback leads in a solution (Eq. 1 over the facts), to tell the best of
    several."""
    return _lead(problem, solution.view, solution.added)


# Algorithm 1


def _in_turns(problem: Problem, rejected: Collection[Facts]) -> Solution:
    """Lines 4 to 24: add the best of H, remove the worst of G_q, in turns, until the stop condition
    holds."""
    p, feedback = problem.probabilities, problem.feedback
    to_add = sorted(
        problem.personalized, key=lambda z: -comparable(p.reasoning_of(z, feedback))
    )  # lines 4-5
    scored = [
        v.triple
        for v in problem.view
        if v.triple not in problem.personalized and (v.triple, feedback) in p.reasoning
    ]
    to_remove = sorted(scored, key=lambda z: comparable(p.reasoning_of(z, feedback)))  # lines 6-7
    state = _State(problem)
    if _solves(problem, state, rejected):  # line 8
        return state.solution(_reason(problem), holds=True)
    while to_add or to_remove:  # line 10
        if to_add:
            state = state.adding(to_add.pop(0))  # lines 12-14
            if _solves(problem, state, rejected):
                return state.solution(_reason(problem), holds=True)
        if to_remove:
            state = state.removing(to_remove.pop(0))  # lines 18-20
            if _solves(problem, state, rejected):
                return state.solution(_reason(problem), holds=True)
    return state.solution(StopReason.EXHAUSTED, holds=False)  # line 24


# The default mode


def _add_then_remove(problem: Problem, rejected: Collection[Facts]) -> Solution:
    visited = []
    for state in _states(problem):
        if _solves(problem, state, rejected):
            return _minimal(problem, state, rejected).solution(_reason(problem), holds=True)
        visited.append(state)
    best = max(visited, key=lambda state: round(_lead(problem, state.view, state.added), 4))
    return best.solution(StopReason.EXHAUSTED, holds=False)


def _states(problem: Problem) -> Iterator[_State]:
    """The states in the order they are tried: one more of H each time, then one conflicting fact
    less each time."""
    p = problem.probabilities
    state = _State(problem)

    def gain(z: Triple) -> float:
        return -comparable(p.reasoning_of(z, problem.feedback) * p.relations[z.relation])

    for triple in sorted(problem.personalized, key=gain):
        state = state.adding(triple)
        if problem.removal is Removal.CONFLICTING:
            state = state.refuting(triple)
        yield state
    if problem.removal is not Removal.CONFLICTING:
        return
    for _ in range(problem.max_removed):
        conflicting = _most_conflicting(problem, state)
        if conflicting is None:
            return
        state = state.removing(conflicting)
        yield state


def _most_conflicting(problem: Problem, state: _State) -> Triple | None:
    """The fact to remove next: it raises the strongest wrong answer and holds the feedback below
    its Eq. 1.

    Of those the one with the largest P(z|q) P(wrong|q,z). The wrong answer is the answer before, or
    the tail among the facts that is ahead of it.
    """
    p = problem.probabilities
    facts = facts_of(problem, state.view)
    rivals = _rivals(problem, facts)
    if not rivals:
        return None
    ahead = {r: answer_probability(r, facts, p) for r in rivals}
    feedback = answer_probability(problem.feedback, facts, p)
    wrong = max(
        rivals,
        key=lambda r: (r == problem.answer_before and ahead[r] >= feedback, comparable(ahead[r])),
    )
    conflicting = [
        z
        for z in facts
        if z not in state.added
        and p.reasoning_of(z, problem.feedback) < feedback
        and p.reasoning_of(z, wrong) >= ahead[wrong]
    ]
    if not conflicting:
        return None
    return max(
        conflicting, key=lambda z: comparable(p.relations[z.relation] * p.reasoning_of(z, wrong))
    )


def _minimal(problem: Problem, state: _State, rejected: Collection[Facts]) -> _State:
    """`state` without any change whose undoing keeps the stop condition, newest first. What was
    refuted stays out."""
    undone = True
    while undone:
        undone = False
        for change in reversed(state.changes):
            if change.refuted_by is not None:
                continue
            without = state.undoing(change)
            if _solves(problem, without, rejected):
                state, undone = without, True
    return state


# States and the stop condition


@dataclass(frozen=True, slots=True)
class _Done:
    """One thing done. A refuted triple goes with the added one that refutes it."""

    triple: Triple
    adds: bool
    refuted_by: Triple | None = None


@dataclass(frozen=True, slots=True)
class _State:
    problem: Problem
    changes: tuple[_Done, ...] = ()

    def adding(self, triple: Triple) -> _State:
        return replace(self, changes=(*self.changes, _Done(triple, adds=True)))

    def removing(self, triple: Triple) -> _State:
        return replace(self, changes=(*self.changes, _Done(triple, adds=False)))

    def refuting(self, added: Triple) -> _State:
        """Without the triples of `added`'s relation whose tail is the answer before: the feedback
        contradicts them."""
        before = self.problem.answer_before
        if before is None:
            return self
        refuted = tuple(
            _Done(v.triple, adds=False, refuted_by=added)
            for v in self.view.slice(added.relation).triples
            if v.triple != added
            and says(before, v.triple.tail.text)
            and not same_answer(v.triple.tail.text, self.problem.feedback)
        )
        return replace(self, changes=self.changes + refuted)

    def undoing(self, change: _Done) -> _State:
        kept = (
            c
            for c in self.changes
            if c is not change and not (change.adds and c.refuted_by == change.triple)
        )
        return replace(self, changes=tuple(kept))

    @property
    def added(self) -> tuple[Triple, ...]:
        return tuple(c.triple for c in self.changes if c.adds)

    @property
    def removed(self) -> tuple[Triple, ...]:
        return tuple(c.triple for c in self.changes if not c.adds)

    @property
    def view(self) -> Neighborhood:
        view = self.problem.view
        for position, change in enumerate(self.changes):
            if change.adds:
                view = view.with_added(
                    change.triple, Stamp(self.problem.view.revision + 1, position)
                )
            else:
                view = view.without(change.triple)
        return view

    def solution(self, reason: StopReason, *, holds: bool) -> Solution:
        return Solution(self.view, self.added, self.removed, reason, holds)


def _reason(problem: Problem) -> StopReason:
    return StopReason.LOSS if problem.stopping is Stopping.LITERAL else StopReason.OVERTOOK


def _solves(problem: Problem, state: _State, rejected: Collection[Facts]) -> bool:
    """Whether the stop condition holds in a state that was not rejected."""
    return _holds(problem, state) and (
        not rejected or facts_of(problem, state.view) not in rejected
    )


def _holds(problem: Problem, state: _State) -> bool:
    lead = _lead(problem, state.view, state.added)
    return lead >= 0 if problem.stopping is Stopping.LITERAL else lead > 0


def _lead(problem: Problem, view: Neighborhood, added: Sequence[Triple]) -> float:
    """How far beyond the stop condition a view is; below zero where it fails.

    By how much Eq. 1 over the facts puts the feedback above every other answer (-1 when no added
    triple is a fact), or with literal stopping by how much the loss is below epsilon.
    """
    if problem.stopping is Stopping.LITERAL:
        return round(
            problem.epsilon
            - loss(problem.personalized, problem.feedback, view, problem.probabilities),
            9,
        )
    facts = facts_of(problem, view)
    if not set(added) & set(facts):
        return -1.0
    rivals = _rivals(problem, facts)
    _require(problem.probabilities, [(z, a) for z in facts for a in (problem.feedback, *rivals)])
    feedback = answer_probability(problem.feedback, facts, problem.probabilities)
    ahead = max((answer_probability(r, facts, problem.probabilities) for r in rivals), default=0.0)
    return 0.0 if comparable(feedback) == comparable(ahead) else feedback - ahead


def _rivals(problem: Problem, facts: Facts) -> list[str]:
    """The answers that the feedback must overtake: the answer before, and every other tail among
    the facts.

    An answer before that the feedback begins with, and that no fact says any more, is not one of
    them: its probability is that of every answer beginning so, the feedback's own among them ("C"
    counts "C++").
    """
    rivals = [z.tail.text for z in facts]
    before = problem.answer_before
    if before is not None and not problem.feedback.startswith(before):
        rivals = [before, *rivals]
    return list(dict.fromkeys(r for r in rivals if not same_answer(r, problem.feedback)))


def _require(probabilities: Probabilities, pairs: Sequence[tuple[Triple, str]]) -> None:
    missing = [pair for pair in dict.fromkeys(pairs) if pair not in probabilities.reasoning]
    if missing:
        raise MissingProbabilities(missing)
