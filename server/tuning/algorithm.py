"""Algorithm 1, line by line, and the default mode, which stops when Answer would say the feedback.

Both are pure: they go from a view and the model's probabilities to the view after, without asking
the model. MissingProbabilities names what it would have to be asked first.
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


@dataclass(frozen=True, slots=True)
class Solution:
    """The view that was reached, and the changes that led there, in order."""

    view: Neighborhood
    added: tuple[Triple, ...]
    removed: tuple[Triple, ...]
    stop_reason: StopReason
    holds: bool
    """Whether the stop condition holds in `view`."""


Facts = tuple[Triple, ...]
"""The facts that an answer rests on. Given the same ones in the same order, it stays the same."""


def solve(problem: Problem, rejected: Collection[Facts] = ()) -> Solution:
    """The view after the feedback. Raises MissingProbabilities.

    A state whose facts are among `rejected` is not a solution: with them, the model answered
    otherwise.
    """
    if problem.removal is Removal.LITERAL:
        return _in_turns(problem, rejected)
    return _add_then_remove(problem, rejected)


def facts_of(problem: Problem, view: Neighborhood) -> Facts:
    """The facts that Answer would read in `view`."""
    facts = facts_for_answer(view, problem.probabilities.relations, problem.retrieval)
    return tuple(v.triple for v in facts)


def margin(problem: Problem, solution: Solution) -> float:
    """By how much the feedback leads in a solution (Eq. 1 over the facts)."""
    return _lead(problem, solution.view, solution.added)


# Algorithm 1


def _in_turns(problem: Problem, rejected: Collection[Facts]) -> Solution:
    """Lines 4 to 24: in turns, add the best of H and remove the worst of G_q."""
    p, feedback = problem.probabilities, problem.feedback

    def reasoning(z: Triple) -> float:
        return comparable(p.reasoning_of(z, feedback))

    to_add = sorted(problem.personalized, key=lambda z: -reasoning(z))  # lines 4-5
    scored = [
        v.triple
        for v in problem.view
        if v.triple not in problem.personalized and (v.triple, feedback) in p.reasoning
    ]
    to_remove = sorted(scored, key=reasoning)  # lines 6-7
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
    """The first state that solves the problem, made minimal; else the one with the best lead."""

    def lead(state: _State) -> float:
        return round(_lead(problem, state.view, state.added), 4)

    visited = []
    for state in _states(problem):
        if _solves(problem, state, rejected):
            return _minimal(problem, state, rejected).solution(_reason(problem), holds=True)
        visited.append(state)
    return max(visited, key=lead).solution(StopReason.EXHAUSTED, holds=False)


def _states(problem: Problem) -> Iterator[_State]:
    """The states to try, in order: one more of H each time, then one conflicting fact less."""
    p = problem.probabilities
    state = _State(problem)

    def gain(z: Triple) -> float:
        return comparable(p.reasoning_of(z, problem.feedback) * p.relations[z.relation])

    for triple in sorted(problem.personalized, key=lambda z: -gain(z)):
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
    """The fact to remove next; None where no fact conflicts.

    A fact conflicts if it holds the feedback below its Eq. 1 and raises the strongest wrong answer.
    Among several, the one with the largest P(z|q) P(wrong|q,z).
    """
    p = problem.probabilities
    facts = facts_of(problem, state.view)
    rivals = _rivals(problem, facts)
    if not rivals:
        return None
    ahead = {rival: answer_probability(rival, facts, p) for rival in rivals}
    feedback = answer_probability(problem.feedback, facts, p)

    # The strongest wrong answer: the answer before as long as it is ahead, else the first by Eq. 1.
    def strength(rival: str) -> tuple[bool, float]:
        still_given = rival == problem.answer_before and ahead[rival] >= feedback
        return still_given, comparable(ahead[rival])

    wrong = max(rivals, key=strength)
    conflicting = [
        z
        for z in facts
        if z not in state.added
        and p.reasoning_of(z, problem.feedback) < feedback
        and p.reasoning_of(z, wrong) >= ahead[wrong]
    ]

    def share(z: Triple) -> float:
        return comparable(p.relations[z.relation] * p.reasoning_of(z, wrong))

    return max(conflicting, key=share, default=None)


def _minimal(problem: Problem, state: _State, rejected: Collection[Facts]) -> _State:
    """`state` without the changes that the stop condition does not need, the newest undone first.

    What was refuted stays out.
    """
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
    """One change. A refuted triple belongs to the added one that refutes it."""

    triple: Triple
    adds: bool
    refuted_by: Triple | None = None


@dataclass(frozen=True, slots=True)
class _State:
    """A problem and the changes made so far, in order."""

    problem: Problem
    changes: tuple[_Done, ...] = ()

    def adding(self, triple: Triple) -> _State:
        return replace(self, changes=(*self.changes, _Done(triple, adds=True)))

    def removing(self, triple: Triple) -> _State:
        return replace(self, changes=(*self.changes, _Done(triple, adds=False)))

    def refuting(self, added: Triple) -> _State:
        """Without the triples that `added` contradicts: its relation's, with the answer before."""
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
        """Without `change` and, if it added a triple, without what that refuted."""
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
        revision = view.revision + 1
        for position, change in enumerate(self.changes):
            if change.adds:
                view = view.with_added(change.triple, Stamp(revision, position))
            else:
                view = view.without(change.triple)
        return view

    def solution(self, reason: StopReason, *, holds: bool) -> Solution:
        return Solution(self.view, self.added, self.removed, reason, holds)


def _reason(problem: Problem) -> StopReason:
    return StopReason.LOSS if problem.stopping is Stopping.LITERAL else StopReason.OVERTOOK


def _solves(problem: Problem, state: _State, rejected: Collection[Facts]) -> bool:
    """Whether the stop condition holds in a state that was not rejected."""
    if not _holds(problem, state):
        return False
    return not rejected or facts_of(problem, state.view) not in rejected


def _holds(problem: Problem, state: _State) -> bool:
    lead = _lead(problem, state.view, state.added)
    return lead >= 0 if problem.stopping is Stopping.LITERAL else lead > 0


def _lead(problem: Problem, view: Neighborhood, added: Sequence[Triple]) -> float:
    """How far beyond the stop condition a view is; below zero where it fails.

    With literal stopping, by how much the loss is below epsilon. Else by how much Eq. 1 over the
    facts puts the feedback above every other answer, or -1 if no added triple is a fact.
    """
    p, feedback = problem.probabilities, problem.feedback
    if problem.stopping is Stopping.LITERAL:
        return round(problem.epsilon - loss(problem.personalized, feedback, view, p), 9)
    facts = facts_of(problem, view)
    if not set(added) & set(facts):
        return -1.0
    rivals = _rivals(problem, facts)
    _require(p, [(z, answer) for z in facts for answer in (feedback, *rivals)])
    reached = answer_probability(feedback, facts, p)
    ahead = max((answer_probability(rival, facts, p) for rival in rivals), default=0.0)
    return 0.0 if comparable(reached) == comparable(ahead) else reached - ahead


def _rivals(problem: Problem, facts: Facts) -> list[str]:
    """The answers that the feedback must overtake: the answer before, and the facts' other tails.

    The answer before is left out if the feedback begins with it and no fact says it any more. Its
    probability is that of every answer that begins so, and the feedback is one ("C" counts "C++").
    """
    rivals = [z.tail.text for z in facts]
    before = problem.answer_before
    if before is not None and not problem.feedback.startswith(before):
        rivals = [before, *rivals]
    return list(dict.fromkeys(r for r in rivals if not same_answer(r, problem.feedback)))


def _require(probabilities: Probabilities, pairs: Sequence[tuple[Triple, str]]) -> None:
    """Raise MissingProbabilities for all of `pairs` at once, rather than one after the other."""
    missing = [pair for pair in dict.fromkeys(pairs) if pair not in probabilities.reasoning]
    if missing:
        raise MissingProbabilities(missing)
