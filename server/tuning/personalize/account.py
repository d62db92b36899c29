"""What Personalize reports: the edit, the account of why it was made, and the figures."""

from __future__ import annotations

import math
from dataclasses import replace

from server.graph.characters import printable
from server.graph.edit import (
    Account,
    Change,
    Edit,
    EditKind,
    Scope,
    StopReason,
    TripleProbabilities,
    answered_share,
)
from server.graph.marks import changes_to
from server.graph.triple import Origin, Triple, canonical
from server.tuning.algorithm import facts_of, viewed_facts
from server.tuning.edits import next_edit
from server.tuning.key_rows import packed
from server.tuning.objective import answer_probability, ln, loss, retrieval_probability
from server.tuning.personalize.inquiry import Inquiry
from server.tuning.personalize.outcome import PersonalizeOutcome
from server.tuning.personalize.steps import Decided
from server.tuning.ports import Snapshot
from server.tuning.problem import Problem, Solution, Stopping
from server.tuning.question import question_of
from server.tuning.scoring import unscored_mass


def unchanged(inquiry: Inquiry, snapshot: Snapshot, answer: str) -> PersonalizeOutcome:
    """The report if `answer`, which the user gets now, is already the feedback."""
    account = Account(
        query=inquiry.correction.command.query,
        answer=inquiry.correction.feedback,
        subject=inquiry.filed_at.concept.text,
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
    changes = await _changes(inquiry, snapshot, decided)
    edit = next_edit(snapshot, EditKind.PERSONALIZE, changes, account=account)
    if changes:
        edit = replace(edit, relied_on=_relied_on(inquiry, decided))
    before = problem.known_before
    mass_before = unscored_mass(problem.view, before, feedback)
    facts_before = inquiry.facts(problem.view, before)
    facts_after = viewed_facts(problem, solution.view)
    return replace(
        _outcome(inquiry, edit, account),
        explanation="" if decided.converged else _explanation(inquiry, decided),
        considered=tuple((z, _probabilities(z, decided)) for z in problem.personalized),
        unscored_mass_before=mass_before,
        unscored_mass_after=unscored_mass(solution.view, known, feedback),
        approximate=problem.stopping is Stopping.LITERAL and mass_before > 0,
        answer_logprob_before=ln(answer_probability(feedback, facts_before, before)),
        answer_logprob_after=ln(answer_probability(feedback, facts_after, known)),
    )


async def _with_all_reported(inquiry: Inquiry, problem: Problem, solution: Solution) -> Problem:
    """`problem` with all probabilities of the facts before and after and of what changed."""
    changes = [*solution.added, *solution.removed]
    facts_before = [v.triple for v in inquiry.facts(problem.view, problem.known_before)]
    reported = [*facts_before, *facts_of(problem, solution.view), *changes]
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
        subject=inquiry.filed_at.concept.text,
        object=inquiry.correction.object.text,
        relations=tuple(z.relation for z in problem.personalized),
        loss_before=loss(own, problem.feedback, problem.view, problem.known_before),
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
    scopes = {
        stored: _scope(inquiry, decided, as_seen[stored])
        for stored, origin in wanted.items()
        if origin is Origin.ADDED
    }
    revision = snapshot.revision + 1
    changes = changes_to(wanted.items(), found, revision, renew=True, scopes=scopes)
    return tuple(
        replace(change, probabilities=_probabilities(as_seen[change.triple], decided))
        for change in changes
    )


def _scope(inquiry: Inquiry, decided: Decided, added: Triple) -> Scope:
    """What an added triple answers: this query."""
    known = decided.problem.probabilities
    return Scope(
        query=question_of(inquiry.correction.command.query),
        key=packed(decided.key),
        fingerprint=inquiry.answerer.model.key_fingerprint,
        owned=added in inquiry.scorer.owned,
        answered=answered_share(known.reasoning_of(added, decided.problem.feedback)),
    )


def _relied_on(inquiry: Inquiry, decided: Decided) -> tuple[Triple, ...]:
    """The user's own facts that the answer rests on and that did not change."""
    problem, solution = decided.problem, decided.solution
    changes = [*solution.added, *solution.removed]
    return tuple(
        canonical(viewed.triple, inquiry.answerer.vocabulary)
        for viewed in inquiry.facts(solution.view, problem.probabilities)
        if viewed.is_personal and viewed.triple not in changes
    )


def _probabilities(z: Triple, decided: Decided) -> TripleProbabilities:
    problem, known = decided.problem, decided.problem.probabilities
    return TripleProbabilities(
        retrieval_before=retrieval_probability(z, problem.view, problem.known_before),
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
        subject=inquiry.filed_at,
        alternatives=inquiry.choice.alternatives,
        cost=inquiry.cost(),
        preview=inquiry.correction.command.preview,
    )
