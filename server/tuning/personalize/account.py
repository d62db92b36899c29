"""What Personalize reports: the edit, the account of why it was made, and the figures."""

from __future__ import annotations

import math
from dataclasses import replace

from server.graph.characters import printable
from server.graph.edit import Account, Change, Edit, EditKind, StopReason, TripleProbabilities
from server.graph.marks import changes_to
from server.graph.triple import Origin, Triple, canonical
from server.tuning.algorithm import Problem, Solution, Stopping, facts_of
from server.tuning.edits import new_edit_id, next_edit, now_ms
from server.tuning.objective import answer_probability, ln, loss, retrieval_probability
from server.tuning.personalize.inquiry import Inquiry
from server.tuning.personalize.outcome import PersonalizeOutcome
from server.tuning.personalize.steps import Decided
from server.tuning.ports import Snapshot
from server.tuning.scoring import unscored_mass


def unchanged(inquiry: Inquiry, snapshot: Snapshot, answer: str) -> PersonalizeOutcome:
    """The report if `answer`, which the user gets now, is already the feedback."""
    account = Account(
        query=inquiry.correction.command.query,
        answer=inquiry.correction.feedback,
        subject=inquiry.choice.match.concept.text,
        object=inquiry.correction.object.text,
        relations=(),
        loss_before=math.nan,
        loss_after=math.nan,
        stop_reason=StopReason.ALREADY_CORRECT,
        converged=True,
        answer_before=printable(answer),
        answer_after=printable(answer),
    )
    edit = next_edit(snapshot, EditKind.PERSONALIZE, (), account=account)
    return _outcome(inquiry, edit, account)


async def changed(inquiry: Inquiry, snapshot: Snapshot, decided: Decided) -> PersonalizeOutcome:
    """The report of a decision, with the edit that carries it out."""
    with inquiry.stage("score"):
        problem = await _with_all_reported(inquiry, decided.problem, decided.solution)
    decided = replace(decided, problem=problem)
    solution, known, feedback = decided.solution, problem.probabilities, problem.feedback
    account = _account(inquiry, decided)
    edit = Edit(
        id=new_edit_id(),
        revision=snapshot.revision + 1,
        kind=EditKind.PERSONALIZE,
        time_ms=now_ms(),
        changes=await _changes(inquiry, snapshot, decided),
        account=account,
        relied_on=_relied_on(inquiry, decided),
    )
    mass_before = unscored_mass(problem.view, known, feedback)
    facts_before, facts_after = facts_of(problem, problem.view), facts_of(problem, solution.view)
    return replace(
        _outcome(inquiry, edit, account),
        explanation="" if decided.converged else _explanation(inquiry, decided),
        considered=tuple((z, _probabilities(z, decided)) for z in problem.personalized),
        unscored_mass_before=mass_before,
        unscored_mass_after=unscored_mass(solution.view, known, feedback),
        approximate=problem.stopping is Stopping.LITERAL and mass_before > 0,
        answer_logprob_before=ln(answer_probability(feedback, facts_before, known)),
        answer_logprob_after=ln(answer_probability(feedback, facts_after, known)),
    )


async def _with_all_reported(inquiry: Inquiry, problem: Problem, solution: Solution) -> Problem:
    """`problem` with all probabilities of the facts before and after and of what changed."""
    changes = [*solution.added, *solution.removed]
    reported = [*facts_of(problem, problem.view), *facts_of(problem, solution.view), *changes]
    pairs = []
    for z in reported:
        pairs.append((z, problem.feedback))
        if problem.answer_before is not None and z in changes:
            pairs.append((z, problem.answer_before))
    return replace(problem, probabilities=await inquiry.more(problem.probabilities, pairs))


def _account(inquiry: Inquiry, decided: Decided) -> Account:
    problem, solution, known = decided.problem, decided.solution, decided.problem.probabilities
    # The default mode adds only some of H, and its loss is that of what it added.
    literal = problem.stopping is Stopping.LITERAL
    own = problem.personalized if literal else solution.added or problem.personalized
    stopped = decided.converged or not solution.holds
    return Account(
        query=inquiry.correction.command.query,
        answer=problem.feedback,
        subject=problem.view.head.text,
        object=inquiry.correction.object.text,
        relations=tuple(z.relation for z in problem.personalized),
        loss_before=loss(own, problem.feedback, problem.view, known),
        loss_after=loss(own, problem.feedback, solution.view, known),
        stop_reason=solution.stop_reason if stopped else StopReason.EXHAUSTED,
        converged=decided.converged,
        answer_before=printable(problem.answer_before or ""),
        answer_after=printable(decided.answer_after),
    )


async def _changes(inquiry: Inquiry, snapshot: Snapshot, decided: Decided) -> tuple[Change, ...]:
    """The changes of the user's marks, with the probabilities of what was added and removed."""
    answerer, solution = inquiry.answerer, decided.solution
    origins = [(z, Origin.ADDED) for z in solution.added]
    origins += [(z, Origin.REMOVED) for z in solution.removed]
    wanted: dict[Triple, Origin] = {}
    as_seen: dict[Triple, Triple] = {}
    for z, origin in origins:
        stored = canonical(z, answerer.vocabulary)
        wanted[stored], as_seen[stored] = origin, z
    found = await answerer.store.find(inquiry.correction.command.user, list(wanted))
    changes = changes_to(wanted.items(), found, snapshot.revision + 1, renew=True)
    return tuple(
        replace(change, probabilities=_probabilities(as_seen[change.triple], decided))
        for change in changes
    )


def _relied_on(inquiry: Inquiry, decided: Decided) -> tuple[Triple, ...]:
    """The user's own facts that the answer rests on and that did not change."""
    problem, solution = decided.problem, decided.solution
    changes = [*solution.added, *solution.removed]
    return tuple(
        canonical(viewed.triple, inquiry.answerer.vocabulary)
        for viewed in inquiry.facts(solution.view, problem.probabilities.relations)
        if viewed.is_personal and viewed.triple not in changes
    )


def _probabilities(z: Triple, decided: Decided) -> TripleProbabilities:
    problem, known = decided.problem, decided.problem.probabilities
    return TripleProbabilities(
        retrieval_before=retrieval_probability(z, problem.view, known),
        retrieval_after=retrieval_probability(z, decided.solution.view, known),
        reasoning=known.reasoning_of(z, problem.feedback),
        reasoning_answer_before=known.reasoning.get((z, problem.answer_before or "")),
    )


def _explanation(inquiry: Inquiry, decided: Decided) -> str:
    """Which condition failed, if the request did not converge."""
    answer = decided.answer_after
    if decided.solution.holds:
        return f"by probability the feedback leads, but the model still answers {answer!r}"
    if not inquiry.correction.command.verify:
        return "nothing was left to change, and by probability another answer still leads"
    if inquiry.is_feedback(answer, decided.problem.view):
        return (
            "nothing was left to change; the model answers so, "
            "but by probability another answer still leads"
        )
    return f"nothing was left to change, and the model still answers {answer!r}"


def _outcome(inquiry: Inquiry, edit: Edit, account: Account) -> PersonalizeOutcome:
    return PersonalizeOutcome(
        edit=edit,
        account=account,
        subject=inquiry.choice.match,
        alternatives=inquiry.choice.alternatives,
        cost=inquiry.cost(),
        preview=inquiry.correction.command.preview,
    )
