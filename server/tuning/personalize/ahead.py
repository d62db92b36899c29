"""Asking ahead: one question to the model instead of three.

The steps of the method ask one after the other, as each needs it. Where no text has to be generated
in between, all that they are likely to ask is known at the start. Asked at once it costs one
forward pass, and the steps find it in the user's memory. In the same way, the answer after the
likeliest decision is asked for before the decision is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from server.graph.neighborhood import Neighborhood
from server.graph.triple import Triple
from server.tuning.algorithm import solve
from server.tuning.facts import possible_companions
from server.tuning.objective import MissingProbabilities, Probabilities
from server.tuning.personalize.command import RelationSource
from server.tuning.personalize.inquiry import Inquiry
from server.tuning.problem import Problem
from server.tuning.relations import personalized_triples
from server.tuning.texts import same_answer

_LEAVES_PER_TRIPLE = 4
"""How many continuations a triple may have on average. Those of one token cost nothing to read."""


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """What the steps are likely to ask: about which relations, and which answers to each triple."""

    relations: Sequence[str]
    answers: Mapping[Triple, Sequence[str]]


def likely_view(
    inquiry: Inquiry,
    view: Neighborhood,
    known: Probabilities,
    first: Triple,
    before: str,
    refuted: Triple | None,
) -> Neighborhood:
    """The view that the decision comes to if `first`, of H, is all that has to be added.

    It is solved for as the decision will be, with `first` believed to give the feedback for sure.
    """
    correction, rules = inquiry.correction, inquiry.correction.command.rules
    problem = Problem(
        view=view,
        personalized=(first,),
        feedback=correction.feedback,
        answer_before=before or None,
        probabilities=known.with_relations({first.relation: 1.0, **known.relations}),
        removal=rules.removal,
        retrieval=inquiry.answerer.rules.retrieval,
        max_removed=rules.max_removed,
        refuted=refuted,
    )
    while True:
        try:
            return solve(problem).view
        except MissingProbabilities as missing:
            sure = (first, correction.feedback)
            believed = {pair: float(pair == sure) for pair in missing.pairs}
            probabilities = problem.probabilities.with_reasoning(believed)
            problem = replace(problem, probabilities=probabilities)


async def ask_ahead(inquiry: Inquiry, view: Neighborhood) -> None:
    """Ask for all that the request is likely to need, if that is known and fits the budget."""
    correction, rules = inquiry.correction, inquiry.correction.command.rules
    before = (correction.command.answer_before or "").strip()
    ranked = not correction.relations and rules.relation_source is RelationSource.RANKED
    if not before or inquiry.is_feedback(before, view):
        return
    if not (correction.relations or ranked):
        return
    foreseen = _foreseen(inquiry, view, before)
    if foreseen is None:
        return
    ranking = None
    if ranked:
        ranking = inquiry.scorer.ranking(correction.feedback, correction.object, rules.k)
    await inquiry.scorer.foresee(foreseen.relations, foreseen.answers, ranking)


def _foreseen(inquiry: Inquiry, view: Neighborhood, before: str) -> _Foreseen | None:
    """What to ask for; None where it is more than the request may score."""
    correction, vocabulary = inquiry.correction, inquiry.answerer.vocabulary
    budget = correction.command.rules.budget.triples
    names = correction.relations or tuple(r.name for r in vocabulary.retrievable())
    candidates = personalized_triples(inquiry.filed_at.concept, names, correction.object)
    inquiry.mark_owned(candidates)
    triples = list(dict.fromkeys([*candidates, *(v.triple for v in view)]))
    if max(len(triples), view.count) > budget:
        return None

    # Any candidate may be added. The facts next to it are weighed by each other's tails, too.
    relations = [s.relation for s in view.slices]
    remembered = inquiry.scorer.remembered(relations)
    known = None if remembered is None else Probabilities(remembered)
    rules = inquiry.answerer.rules.retrieval
    companions = [viewed.triple for viewed in possible_companions(view, known, rules)]
    facts = {*candidates, *companions}
    tails = dict.fromkeys(z.tail.text for z in companions)
    rivals = [tail for tail in tails if not same_answer(tail, correction.feedback)]
    if len(facts) * len(rivals) > _LEAVES_PER_TRIPLE * budget:
        rivals = []  # the steps ask for those that count
    answers = {}
    for z in triples:
        wanted = [correction.feedback, before, *(rivals if z in facts else [])]
        answers[z] = list(dict.fromkeys(wanted))
    return _Foreseen(list(dict.fromkeys([*relations, *names])), answers)
