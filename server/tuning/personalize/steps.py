"""The steps of the method, each from one value to the next: retrieved, weighed, decided.

The line numbers are those of the paper's Algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from server.errors import EpsilonUnreachable
from server.graph.neighborhood import Neighborhood
from server.graph.triple import Stamp, Triple
from server.tuning.algorithm import best_alone, facts_of, margin, nothing, solve
from server.tuning.objective import Probabilities, answer_probability, comparable, minimal_loss
from server.tuning.personalize.ahead import ask_ahead, likely_view
from server.tuning.personalize.inquiry import Inquiry
from server.tuning.personalize.listed import relations_of_h
from server.tuning.ports import Key
from server.tuning.problem import Problem, Solution, Stopping
from server.tuning.recall import scope_weight
from server.tuning.relations import personalized_triples
from server.tuning.retrieval import Looked, Retrieval
from server.tuning.scoring import triples_to_score
from server.tuning.texts import same_answer, says
from server.tuning.together import together

MAX_RESUMES = 3
"""How often the search goes on because the model still answers otherwise."""


# Retrieved: what the user sees and is answered now


@dataclass(frozen=True, slots=True)
class Retrieved:
    """G_q with the probabilities of its relations, and the answer that the user gets now."""

    view: Neighborhood
    known: Probabilities
    answer_before: str | None
    """None where the caller gives no answer and wants none generated."""
    key: Key
    """The query's key: the scope of what is added."""
    refuted: Triple | None = None
    """The fact that gives the answer before."""


async def retrieve(inquiry: Inquiry) -> Retrieved:
    """Lines 2 and 3: the triples that start at e_q, and what Answer would make of them."""
    with inquiry.stage("retrieve"):
        looked = await _looked(inquiry)
        await ask_ahead(inquiry, looked.view)
        found = await inquiry.answerer.retriever.recall(inquiry.scorer, looked, fully=True)
    with inquiry.stage("answer_before"):
        command = inquiry.correction.command
        before = None
        if command.answer_before is not None:
            before = command.answer_before.strip()
        elif command.verify:
            before = await inquiry.answer_in(found.view, found.probabilities)
    assert found.key is not None, "all was asked for"
    refuted = _refuted(inquiry, found, before)
    return Retrieved(found.view, found.probabilities, before, found.key, refuted)


def _refuted(inquiry: Inquiry, found: Retrieval, before: str | None) -> Triple | None:
    """The first of the facts that say the answer before: the one that it rests on.

    A fact of the base about something else than the new fact is about is not refuted by it, and
    neither is a personal fact that may be about another question: it was only taken for an answer.
    """
    if not before:
        return None
    feedback = inquiry.correction.feedback
    for viewed in found.facts:
        tail, head = viewed.triple.tail.text, viewed.triple.head
        concerned = head == inquiry.filed_at.concept
        if viewed.is_personal:
            concerned = viewed.triple in found.surely
        if concerned and says(before, tail) and not same_answer(tail, feedback):
            return viewed.triple
    return None


async def _looked(inquiry: Inquiry) -> Looked:
    answerer, command = inquiry.answerer, inquiry.correction.command
    limit = max(
        answerer.rules.neighborhood_limit,
        command.rules.budget.triples + command.rules.max_removed,
    )
    return await answerer.retriever.look(
        command.user,
        inquiry.choice,
        limit,
        asked_for=inquiry.correction.relations,
        literal=inquiry.is_literal,
    )


# Weighed: what could be added, and how probable each answer is given each triple


@dataclass(frozen=True, slots=True)
class Weighed:
    """H, and the probabilities that the decision is expected to need."""

    view: Neighborhood
    personalized: tuple[Triple, ...]
    known: Probabilities
    """With the scope weights that H will have."""
    scopes_before: Mapping[Triple, float]
    """The scope weights in `view`, as it is."""
    answer_before: str
    """Empty where there is none."""
    refuted: Triple | None
    key: Key


async def weigh(inquiry: Inquiry, retrieved: Retrieved) -> Weighed:
    """Lines 1, 4 and 6: H, and P(a|q,z) of its triples and of those in the view."""
    view, before = retrieved.view, retrieved.answer_before
    with inquiry.stage("relations"):
        relations = await relations_of_h(inquiry, retrieved.known, retrieved.refuted)
        personalized = _personalized(inquiry, retrieved, relations)
        inquiry.mark_owned(personalized)
        # This very query teaches H, so no other is nearer to it.
        weight = scope_weight(1.0, inquiry.answerer.retriever.floor)
        scopes = dict.fromkeys(personalized, weight)
    with inquiry.stage("score"):
        taught = replace(retrieved, known=retrieved.known.with_scopes(scopes))
        wanted = _wanted(inquiry, taught, personalized)
        named = [z.relation for z in personalized]
        if before is None or inquiry.is_literal or not inquiry.correction.command.verify:
            known = await inquiry.scored(retrieved.known, named, wanted)
        else:
            likely = likely_view(
                inquiry, view, taught.known, personalized[0], before, retrieved.refuted
            )
            known, _ = await together(
                inquiry.scored(retrieved.known, named, wanted),
                inquiry.foresee_answer(likely, taught.known, before),
            )
        if before is None:
            before, known = await _most_probable_tail(inquiry, view, known)
    return Weighed(
        view=view,
        personalized=personalized,
        known=known.with_scopes(scopes),
        scopes_before=known.scopes,
        answer_before=before,
        refuted=retrieved.refuted,
        key=retrieved.key,
    )


def _personalized(
    inquiry: Inquiry, retrieved: Retrieved, relations: Sequence[str]
) -> tuple[Triple, ...]:
    """H. In the default mode, what takes the place of the refuted fact comes first."""
    head, object = inquiry.filed_at.concept, inquiry.correction.object
    own = personalized_triples(head, relations, object)
    refuted = retrieved.refuted
    if refuted is None or inquiry.is_literal or inquiry.correction.relations:
        return own
    instead = Triple(refuted.head, refuted.relation, object)
    return tuple(dict.fromkeys([instead, *own]))[: max(len(own), 1)]


def _wanted(
    inquiry: Inquiry, retrieved: Retrieved, personalized: Sequence[Triple]
) -> dict[Triple, list[str]]:
    """The answers whose P(a|q,z) the decision is expected to need, for each triple.

    Every triple needs the feedback and the answer before. The facts expected afterwards also need
    each other's tails. Without an answer before, the tail of any fact may turn out to be it.
    """
    view, known, before = retrieved.view, retrieved.known, retrieved.answer_before
    feedback, rules = inquiry.correction.feedback, inquiry.correction.command.rules
    facts = [v.triple for v in inquiry.facts(view, known)]
    expected = _expected_facts(inquiry, retrieved, personalized[0])
    tails = [z.tail.text for z in (expected if before else [*expected, *facts])]
    rivals = [tail for tail in tails if not same_answer(tail, feedback)]
    scored = triples_to_score(view, known, rules.budget)

    wanted = {}
    for z in [*personalized, *scored, *facts, *expected]:
        answers = [feedback]
        if before:
            answers.append(before)
        if z in expected or not before:
            answers += rivals
        wanted[z] = list(dict.fromkeys(answers))
    return wanted


def _expected_facts(inquiry: Inquiry, retrieved: Retrieved, first: Triple) -> list[Triple]:
    """The facts once `first` is added: the one of H that the model or the caller names first."""
    view = retrieved.view.with_added(first, Stamp(retrieved.view.revision + 1, 0))
    return [v.triple for v in inquiry.facts(view, retrieved.known)]


async def _most_probable_tail(
    inquiry: Inquiry, view: Neighborhood, known: Probabilities
) -> tuple[str, Probabilities]:
    """The answer where none is generated: the fact's tail that Eq. 1 ranks first, if any."""
    facts = inquiry.facts(view, known)
    tails = list(dict.fromkeys(viewed.triple.tail.text for viewed in facts))

    def best(known: Probabilities) -> str:
        def probable(tail: str) -> float:
            return comparable(answer_probability(tail, facts, known))

        return max(tails, key=probable, default="")

    return await inquiry.computed(known, best)


# Decided: what is added and removed


@dataclass(frozen=True, slots=True)
class Decided:
    """The solution of a problem, the answer after it, and whether that is the feedback."""

    problem: Problem
    """With all probabilities that were asked for."""
    solution: Solution
    answer_after: str
    converged: bool
    key: Key
    """The query's key."""


async def decide(inquiry: Inquiry, weighed: Weighed) -> Decided:
    """Lines 5 and 7 to 24, checked by answering again. Raises EpsilonUnreachable.

    As long as the model answers otherwise, the facts of that solution are ruled out and the search
    goes on. In the end the best of what was tried is taken.
    """
    problem = _problem(inquiry, weighed)
    verify = inquiry.correction.command.verify
    tried: list[Solution] = []
    while len(tried) <= MAX_RESUMES:
        with inquiry.stage("decide"):
            solution, problem = await _solved(inquiry, problem, tried)
        with inquiry.stage("answer_after"):
            answer, problem = await _answer_after(inquiry, problem, solution)
        if solution.holds and (not verify or inquiry.is_feedback(answer, problem.view)):
            return Decided(problem, solution, answer, converged=True, key=weighed.key)
        tried.append(solution)
        if not solution.holds:
            break
    if not inquiry.is_literal:
        return await _at_most_one(inquiry, problem, weighed.key)
    best, problem = await _best(inquiry, problem, tried)
    answer, problem = await _answer_after(inquiry, problem, best)
    return Decided(problem, best, answer, converged=False, key=weighed.key)


async def _at_most_one(inquiry: Inquiry, problem: Problem, key: Key) -> Decided:
    """What is left of a correction that does not converge: the best of H, or nothing.

    Nothing is removed, and nothing is added that changes the answer into another wrong one.
    """
    with inquiry.stage("decide"):
        one, known = await inquiry.computed(
            problem.probabilities,
            lambda known: best_alone(replace(problem, probabilities=known)),
        )
    problem = replace(problem, probabilities=known)
    with inquiry.stage("answer_after"):
        answer, problem = await _answer_after(inquiry, problem, one)
        before = problem.answer_before or ""
        wanted = same_answer(answer, inquiry.correction.object.text)
        wanted = wanted or inquiry.is_feedback(answer, problem.view)
        if not (wanted or same_answer(answer, before)):
            one, answer = nothing(problem), before
    return Decided(problem, one, answer, converged=False, key=key)


def _problem(inquiry: Inquiry, weighed: Weighed) -> Problem:
    rules, feedback = inquiry.correction.command.rules, inquiry.correction.feedback
    least = minimal_loss(weighed.personalized, feedback, weighed.known)
    epsilon = least + math.log(2) if rules.epsilon is None else rules.epsilon
    if rules.stopping is Stopping.LITERAL and epsilon < least:
        raise EpsilonUnreachable(epsilon, least)
    return Problem(
        view=weighed.view,
        personalized=weighed.personalized,
        feedback=feedback,
        answer_before=weighed.answer_before or None,
        probabilities=weighed.known,
        stopping=rules.stopping,
        removal=rules.removal,
        epsilon=epsilon,
        retrieval=inquiry.answerer.rules.retrieval,
        max_removed=rules.max_removed,
        refuted=None if inquiry.is_literal else weighed.refuted,
        scopes_before=weighed.scopes_before,
    )


async def _solved(
    inquiry: Inquiry, problem: Problem, tried: Sequence[Solution]
) -> tuple[Solution, Problem]:
    """A solution with other facts than those that were `tried`."""
    rejected = [facts_of(problem, solution.view) for solution in tried]
    solution, known = await inquiry.computed(
        problem.probabilities,
        lambda known: solve(replace(problem, probabilities=known), rejected),
    )
    return solution, replace(problem, probabilities=known)


async def _best(
    inquiry: Inquiry, problem: Problem, tried: Sequence[Solution]
) -> tuple[Solution, Problem]:
    """The one of `tried` in which the feedback leads by most; ties go to the fewest changes."""

    def best(known: Probabilities) -> Solution:
        weighed = replace(problem, probabilities=known)
        return max(tried, key=lambda s: (margin(weighed, s), -len(s.added) - len(s.removed)))

    solution, known = await inquiry.computed(problem.probabilities, best)
    return solution, replace(problem, probabilities=known)


async def _answer_after(
    inquiry: Inquiry, problem: Problem, solution: Solution
) -> tuple[str, Problem]:
    """What the user would be answered: as Answer generates it, else by probability."""
    known = problem.probabilities
    if inquiry.correction.command.verify:
        return await inquiry.answer_in(solution.view, known, problem.answer_before), problem
    answer, known = await _most_probable_tail(inquiry, solution.view, known)
    return answer, replace(problem, probabilities=known)
