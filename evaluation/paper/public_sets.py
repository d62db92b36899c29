"""The six public sets of corrections, asked of any system by the one interface.

`python -m evaluation corrections` asks them of the service, each user by themselves, with all that
the service can do. Here a set is one sequence of edits, as the paper has it, and nothing is
restored. What no interface for all systems has is not asked: looking at the graph, undoing, and
what was answered between a case's background and its correction. Facts that a set has in its
background are edited first where they are corrections. Where they are triples they are in the base
graph, so a system without a graph knows of them only what the model knows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evaluation.corrections.cases import DEVELOPMENT, UNSEEN, Case, Question, Stage
from evaluation.corrections.expectations import Reply
from evaluation.corrections.sets import SETS
from evaluation.methods.method import EditCase
from evaluation.paper.choosing import TooLong
from evaluation.paper.graph import Row
from evaluation.paper.reading import LeftOut
from evaluation.paper.scoring import Asking
from evaluation.paper.units import CaseRecord

PUBLIC_SETS = ("pokemqa", "letta", "knowedit", "twice", "siblings", "longmemeval")
HALVES: Mapping[str, Sequence[str]] = {
    "held-out": (DEVELOPMENT,),
    "unseen": (UNSEEN,),
    "all": (DEVELOPMENT, UNSEEN),
}
"""The halves of a set, by the part of the subjects: the adapter was trained on none of these."""


@dataclass(frozen=True, slots=True)
class SetItem:
    """A case of a public set. A system that needs a subject gets it where the query has it."""

    case: Case

    @property
    def id(self) -> str:
        return self.case.id

    @property
    def edits(self) -> Sequence[EditCase]:
        case = self.case
        return [
            EditCase(
                id=case.id,
                subject=case.subject if case.subject in one.query else "",
                prompt=one.query,
                target_new=one.answer,
                target_true=one.answer_before or "",
            )
            for one in (*case.background.corrections, *case.corrections)
        ]

    @property
    def asked(self) -> Sequence[str]:
        return [edit.prompt for edit in self.edits]

    @property
    def questions(self) -> Sequence[Question]:
        """Those that any system can be asked."""
        taught = self.case.background.corrections
        return [
            question
            for question in self.case.questions
            if question.stage is Stage.CORRECTED
            and not question.expectation.looks_at_view
            and not (taught and question.expectation.needs_before)
        ]

    @property
    def needed_before(self) -> Sequence[str]:
        return [q.query for q in self.questions if q.expectation.needs_before]

    @property
    def metrics(self) -> Sequence[str]:
        return list(dict.fromkeys(question.kind for question in self.questions))

    def measured(self, asking: Asking) -> CaseRecord:
        """The share of its questions that are won, by their kind."""
        won: dict[str, list[bool]] = {}
        for question in self.questions:
            if not (question.expectation.needs_before and question.query in asking.prompts):
                won.setdefault(question.kind, []).append(_is_won(question, asking))
        shares: dict[str, float | None] = {k: sum(all) / len(all) for k, all in won.items()}
        return CaseRecord(self.id, shares, asking.system.generate(self.case.corrections[-1].query))


def _is_won(question: Question, asking: Asking) -> bool:
    query, expectation = question.query, question.expectation
    logprobs = {
        answer: -asking.system.logprob(query, answer).mean_nll for answer in expectation.candidates
    }
    before = asking.before.generate(query) if expectation.needs_before else ""
    now = Reply(asking.system.generate(query), logprobs)
    return expectation.is_met(now, Reply(before))


def choose_items(
    name: str, cases: Sequence[Case], part: str, seed: int, size: int, too_long: TooLong
) -> tuple[list[SetItem], list[LeftOut]]:
    """Draw cases, or take all there are. No query is corrected for two cases.

    What is passed over is listed.
    """
    of_part = [case for case in cases if case.half in HALVES[part]]
    drawn = list(SETS[name].complete(of_part, seed))
    random.Random(seed).shuffle(drawn)
    corrected: set[str] = set()
    items: list[SetItem] = []
    left_out: list[LeftOut] = []
    for case in drawn:
        if len(items) == size:
            break
        item = SetItem(case)
        if not corrected.isdisjoint(item.asked):
            left_out.append(LeftOut(case.id, "SamePrompt", "an earlier case asks the same prompt"))
        elif why := next(filter(None, map(too_long, item.edits)), ""):
            left_out.append(LeftOut(case.id, "TooLong", why))
        else:
            corrected.update(item.asked)
            items.append(item)
    return items, left_out


def background_rows(cases: Sequence[Case]) -> Iterator[Row]:
    """The triples that the cases begin with, for the base graph."""
    for case in cases:
        for head, relation, tail in case.background.triples:
            yield head, relation, tail, 1.0
