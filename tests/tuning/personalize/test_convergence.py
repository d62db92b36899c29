"""A correction that does not converge: it leaves little, and never a worse answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.graph.edit import StopReason
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import Answerer, AnswerQuery, AnswerRules
from server.tuning.personalize.command import PersonalizeRules
from server.tuning.personalize.outcome import PersonalizeOutcome
from server.tuning.problem import Stopping
from tests.fixed_model import FixedModel
from tests.tuning.personalize.dogs import COMMAND, QUERY, proposed
from tests.tuning.teaching import VOCABULARY

VEGETABLES = Triple.of("dog", "Desires", "vegetables")


class Unconvinced(FixedModel):
    """Answers `otherwise` wherever a fact says vegetables, whatever its probabilities say."""

    def __init__(self, otherwise: str) -> None:
        super().__init__({QUERY: "likes"})
        self._otherwise = otherwise

    def _continuation(self, prompt: str) -> str:
        if "<facts>" in prompt and "vegetables" in prompt.partition("<facts>")[2]:
            return self._otherwise
        return super()._continuation(prompt)


def answerer(store: SqliteStore, otherwise: str) -> Answerer:
    return Answerer(store, Unconvinced(otherwise), VOCABULARY, AnswerRules())


async def answer(answers: Answerer) -> str:
    return (await answers.answer(AnswerQuery(COMMAND.user, QUERY))).text


async def committed(answers: Answerer, outcome: PersonalizeOutcome) -> None:
    snapshot = await answers.store.snapshot(COMMAND.user)
    await answers.store.commit(COMMAND.user, snapshot, outcome.edits, None)


async def test_where_the_model_keeps_its_answer_only_the_best_triple_is_added(
    store: SqliteStore,
) -> None:
    answers = answerer(store, "meat")
    outcome = await proposed(answers, COMMAND)
    [edit] = outcome.edits
    assert [(c.triple, c.enters) for c in edit.changes] == [(VEGETABLES, True)]
    account = outcome.account
    assert (account.converged, account.stop_reason) == (False, StopReason.EXHAUSTED)
    assert (account.answer_before, account.answer_after) == ("meat", "meat")
    assert outcome.explanation == "nothing was left to change, and the model still answers 'meat'"
    await committed(answers, outcome)
    assert await answer(answers) == "meat"


@pytest.mark.parametrize("otherwise", ["stones", "", "dog Antonym vegetables"])
async def test_what_would_make_the_answer_another_wrong_one_is_not_committed(
    store: SqliteStore, otherwise: str
) -> None:
    answers = answerer(store, otherwise)
    outcome = await proposed(answers, COMMAND)
    assert outcome.edits == ()
    assert outcome.edit.changes == ()
    assert not outcome.account.converged
    assert outcome.account.answer_after == outcome.account.answer_before == "meat"
    assert outcome.considered, "what was tried is reported"
    assert await answer(answers) == "meat"


async def test_nothing_that_was_there_is_removed(store: SqliteStore) -> None:
    """Each attempt removes what says the answer before. None of that is left."""
    for otherwise in ("meat", "stones"):
        outcome = await proposed(answerer(store, otherwise), COMMAND)
        assert outcome.edit.removed == ()


async def test_the_answer_before_need_not_be_generated(store: SqliteStore) -> None:
    outcome = await proposed(answerer(store, "stones"), replace(COMMAND, answer_before="meat"))
    assert outcome.edits == ()


async def test_in_literal_mode_what_was_reached_is_kept_as_the_paper_has_it(
    store: SqliteStore,
) -> None:
    rules = PersonalizeRules(stopping=Stopping.LITERAL)
    outcome = await proposed(answerer(store, "stones"), replace(COMMAND, rules=rules))
    assert not outcome.account.converged
    assert VEGETABLES in [change.triple for change in outcome.edit.added]
