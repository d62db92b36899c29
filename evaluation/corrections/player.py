"""Plays the cases of one user: what was said before, the corrections, and the questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.corrections.caller import Caller, Personalized
from evaluation.corrections.cases import Background, Case, Question, Stage
from evaluation.corrections.expectations import Reply


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the reply. `before` is the reply before the corrections, if it is needed."""

    question: Question
    now: Reply
    before: Reply | None = None

    @property
    def refused(self) -> str:
        """Why one of the calls was refused; empty if none was."""
        return self.now.refused or (self.before.refused if self.before else "")

    @property
    def won(self) -> bool:
        """Whether the reply is as expected. A refused question is not won."""
        if self.refused:
            return False
        return self.question.expectation.is_met(self.now, self.before or Reply())


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case."""

    case: Case
    user: str
    personalized: tuple[Personalized, ...]
    asked: tuple[Asked, ...]


class _Replies:
    """The replies of one stage. What several questions ask is asked once."""

    def __init__(self, caller: Caller, user: str) -> None:
        self._caller, self._user = caller, user
        self._replies: dict[tuple[bool, str], Reply] = {}

    async def ask(self, questions: Sequence[Question]) -> None:
        """Ask all of them; the candidates of one query in one call."""
        candidates: dict[tuple[bool, str], dict[str, None]] = {}
        for question in questions:
            of_query = candidates.setdefault(_key(question), {})
            of_query.update(dict.fromkeys(question.expectation.candidates))
        for (looks_at_view, query), texts in candidates.items():
            if looks_at_view:
                reply = await self._caller.view(self._user, query)
            else:
                reply = await self._caller.answer(self._user, query, list(texts))
            self._replies[looks_at_view, query] = reply

    def to(self, question: Question) -> Reply:
        return self._replies[_key(question)]


def _key(question: Question) -> tuple[bool, str]:
    return question.expectation.looks_at_view, question.query


async def play(caller: Caller, user: str, cases: Sequence[Case]) -> list[CaseResult]:
    """Play the cases of one user, stage by stage, and leave nothing of the user."""
    questions = [question for case in cases for question in case.questions]
    stages = {stage: _Replies(caller, user) for stage in Stage}
    # What the user said before
    for case in cases:
        await teach(caller, user, case.background)
    await stages[Stage.BEFORE].ask([q for q in questions if _is_asked_before(q)])
    # The corrections of all cases, then all questions
    personalized = [await _correct(caller, user, case) for case in cases]
    await stages[Stage.CORRECTED].ask(_at(Stage.CORRECTED, questions))
    # Undone, where a question asks for it
    if undone := _at(Stage.UNDONE, questions):
        await _undo(caller, user, [edit for edits in personalized for edit in edits])
        await stages[Stage.UNDONE].ask(undone)
    await caller.erase(user)
    return [
        CaseResult(case, user, edits, _all_asked(case, stages))
        for case, edits in zip(cases, personalized, strict=True)
    ]


async def teach(caller: Caller, user: str, background: Background) -> None:
    """Tell the service what the user said before the case begins."""
    if background.triples:
        await caller.add(user, background.triples)
    for sentence in background.sentences:
        await caller.learn(user, sentence)
    for correction in background.corrections:
        await caller.personalize(user, correction)


async def _correct(caller: Caller, user: str, case: Case) -> tuple[Personalized, ...]:
    corrected = [await caller.personalize(user, one) for one in case.corrections]
    said = [await caller.learn(user, one) for one in case.statements]
    return (*corrected, *said)


async def _undo(caller: Caller, user: str, edits: Sequence[Personalized]) -> None:
    """Undo the corrections, the last one first."""
    for edit in reversed(edits):
        if edit.edit_id:
            await caller.revert(user, edit)


def _at(stage: Stage, questions: Sequence[Question]) -> list[Question]:
    return [question for question in questions if question.stage is stage]


def _is_asked_before(question: Question) -> bool:
    return question.expectation.needs_before or question.stage is Stage.BEFORE


def _all_asked(case: Case, stages: dict[Stage, _Replies]) -> tuple[Asked, ...]:
    return tuple(_asked(question, stages) for question in case.questions)


def _asked(question: Question, stages: dict[Stage, _Replies]) -> Asked:
    before = stages[Stage.BEFORE].to(question) if question.expectation.needs_before else None
    return Asked(question, stages[question.stage].to(question), before)
