"""Algorithm 1, line by line, and the default mode, which stops when Answer would say the feedback.

Both are pure: they go from a view and the model's probabilities to the view after, without asking
the model. MissingProbabilities names what it would have to be asked first.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from server.graph.edit import StopReason
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.triple import Stamp, Triple
from server.tuning.facts import RetrievalRules, facts_for_answer
from server.tuning.objective import (
    MissingProbabilities,
    Probabilities,
    answer_probability,
    comparable,
    fact_weights,
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


def viewed_facts(problem: Problem, view: Neighborhood) -> tuple[ViewedTriple, ...]:
    """The facts that Answer would read in `view`."""
    return facts_for_answer(view, problem.probabilities, problem.retrieval)


def facts_of(problem: Problem, view: Neighborhood) -> Facts:
    """The triples of the facts that Answer would read in `view`."""
    return tuple(viewed.triple for viewed in viewed_facts(problem, view))


def best_alone(problem: Problem) -> Solution:
    """The view with only the best of H. Raises MissingProbabilities."""
    [first, *_] = _by_gain(problem)
    return _State(problem).adding(first).solution(StopReason.EXHAUSTED, holds=False)


def nothing(problem: Problem) -> Solution:
    """The view as it was."""
    return _State(problem).solution(StopReason.EXHAUSTED, holds=False)


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
    state = _State(problem)
    for triple in _by_gain(problem):
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


def _by_gain(problem: Problem) -> list[Triple]:
    """H: what takes the place of the refuted fact, then by P(a|q,z) p(r)."""
    p, refuted = problem.probabilities, problem.refuted

    def key(z: Triple) -> tuple[bool, float]:
        replaces = refuted is not None and z.slot == refuted.slot
        gain = comparable(p.reasoning_of(z, problem.feedback) * p.relations[z.relation])
        return not replaces, -gain

    return sorted(problem.personalized, key=key)


def _most_conflicting(problem: Problem, state: _State) -> Triple | None:
    """The fact to remove next; None where no fact conflicts.

    A fact conflicts if it holds the feedback below its Eq. 1 and raises the strongest wrong answer.
    Among several, the one with the largest P(z|q) P(wrong|q,z).
    """
    p = problem.probabilities
    facts = viewed_facts(problem, state.view)
    rivals = _rivals(problem, [viewed.triple for viewed in facts], state.added)
    if not rivals:
        return None
    ahead = {rival: answer_probability(rival, facts, p) for rival in rivals}
    feedback = answer_probability(problem.feedback, facts, p)

    # The strongest wrong answer: the answer before as long as it is ahead, else the first by Eq. 1.
    def strength(rival: str) -> tuple[bool, float]:
        still_given = rival == problem.answer_before and ahead[rival] >= feedback
        return still_given, comparable(ahead[rival])

    wrong = max(rivals, key=strength)
    weights = {
        viewed.triple: weight for viewed, weight in zip(facts, fact_weights(facts, p), strict=True)
    }
    conflicting = [
        z
        for z in weights
        if z not in state.added
        and p.reasoning_of(z, problem.feedback) < feedback
        and p.reasoning_of(z, wrong) >= ahead[wrong]
    ]

    def share(z: Triple) -> float:
        return comparable(weights[z] * p.reasoning_of(z, wrong))

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
            _Done(z, adds=False, refuted_by=added)
            for z in dict.fromkeys(contradicted)
            if z != added and self.view.find(z) is not None
        )
        return replace(self, changes=self.changes + refuted)

    def undoing(self, change: _Done) -> _State:
        """Without `change` and, if it added a triple, without what that refuted.

        The fact that the answer before rests on stays out as long as any triple is added.
        """
        adds = any(c.adds for c in self.changes if c is not change)

        def stays(other: _Done) -> bool:
            if other is change or other.refuted_by is None:
                return other is not change
            return (
                adds if other.triple == self.problem.refuted else other.refuted_by != change.triple
            )

        return replace(self, changes=tuple(filter(stays, self.changes)))

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
    facts = viewed_facts(problem, view)
    triples = [viewed.triple for viewed in facts]
    if not set(added) & set(triples):
        return -1.0
    rivals = _rivals(problem, triples, added)
    _require(p, [(z, answer) for z in triples for answer in (feedback, *rivals)])
    reached = answer_probability(feedback, facts, p)
    ahead = max((answer_probability(rival, facts, p) for rival in rivals), default=0.0)
    return 0.0 if comparable(reached) == comparable(ahead) else reached - ahead


def _rivals(problem: Problem, facts: Sequence[Triple], added: Sequence[Triple]) -> list[str]:
    """The answers that the feedback must overtake: the answer before, and the facts' other tails.

    Other values of what an added triple says are not: one answer may name them all. The answer
    before is left out if the feedback begins with it and no fact says it any more. Its probability
    is that of every answer that begins so, and the feedback is one ("C" counts "C++").
    """
    values = {z.slot for z in added}
    rivals = [z.tail.text for z in facts if z.slot not in values]
    before = problem.answer_before
    if before is not None and not problem.feedback.startswith(before):
        rivals = [before, *rivals]
    return list(dict.fromkeys(r for r in rivals if not same_answer(r, problem.feedback)))


def _require(probabilities: Probabilities, pairs: Sequence[tuple[Triple, str]]) -> None:
    """Raise MissingProbabilities for all of `pairs` at once, rather than one after the other."""
    missing = [pair for pair in dict.fromkeys(pairs) if pair not in probabilities.reasoning]
    if missing:
        raise MissingProbabilities(missing)
