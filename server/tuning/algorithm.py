"""Algorithm 1, line by line, and the default mode, which stops when Answer would say the feedback.

Both are pure: they go from a view and the model's probabilities to the view after, without asking
the model. MissingProbabilities names what it would have to be asked first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from server.graph.edit import StopReason
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.triple import Triple
from server.tuning.facts import facts_for_answer
from server.tuning.objective import (
    MissingProbabilities,
    Probabilities,
    answer_probability,
    comparable,
    fact_weights,
    loss,
)
from server.tuning.problem import Problem, Removal, Solution, State, Stopping
from server.tuning.texts import same_answer

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
    return State(problem).adding(first).solution(StopReason.EXHAUSTED, holds=False)


def nothing(problem: Problem) -> Solution:
    """The view as it was."""
    return State(problem).solution(StopReason.EXHAUSTED, holds=False)


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
    state = State(problem)
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

    def lead(state: State) -> float:
        return round(_lead(problem, state.view, state.added), 4)

    visited = []
    for state in _states(problem):
        if _solves(problem, state, rejected):
            return _minimal(problem, state, rejected).solution(_reason(problem), holds=True)
        visited.append(state)
    return max(visited, key=lead).solution(StopReason.EXHAUSTED, holds=False)


def _states(problem: Problem) -> Iterator[State]:
    """The states to try, in order: one more of H each time, then one conflicting fact less."""
    state = State(problem)
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


def _most_conflicting(problem: Problem, state: State) -> Triple | None:
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


def _minimal(problem: Problem, state: State, rejected: Collection[Facts]) -> State:
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


# The stop condition


def _reason(problem: Problem) -> StopReason:
    return StopReason.LOSS if problem.stopping is Stopping.LITERAL else StopReason.OVERTOOK


def _solves(problem: Problem, state: State, rejected: Collection[Facts]) -> bool:
    """Whether the stop condition holds in a state that was not rejected."""
    if not _holds(problem, state):
        return False
    return not rejected or facts_of(problem, state.view) not in rejected


def _holds(problem: Problem, state: State) -> bool:
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
