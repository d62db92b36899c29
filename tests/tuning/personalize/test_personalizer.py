"""A whole Personalize, from the command to the proposed edit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.graph.edit import StopReason
from server.graph.triple import Triple
from server.tuning.answer import Answerer
from tests.tuning.personalize.dogs import COMMAND, proposed


async def test_the_edit_is_proposed_and_nothing_is_written(answerer: Answerer) -> None:
    outcome = await proposed(answerer, COMMAND)
    [edit] = outcome.edits
    assert [change.triple for change in edit.added] == [Triple.of("dog", "Desires", "vegetables")]
    assert edit.account == outcome.account
    assert (await answerer.store.snapshot("alice")).revision == edit.revision - 1 == 0


async def test_a_preview_shows_an_edit_and_proposes_none(answerer: Answerer) -> None:
    outcome = await proposed(answerer, replace(COMMAND, preview=True))
    assert outcome.edit.added
    assert outcome.edits == ()


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("answer", ["meat", "The meat.", "Meat"])
async def test_nothing_changes_where_the_answer_is_the_feedback_already(
    answerer: Answerer, answer: str, verify: bool
) -> None:
    """Also where nothing is generated, and the known fact is written in another way."""
    outcome = await proposed(answerer, replace(COMMAND, answer=answer, verify=verify))
    assert outcome.account.stop_reason is StopReason.ALREADY_CORRECT
    assert outcome.edits == ()


async def test_a_feedback_written_in_another_way_than_a_fact_is_weighed_all_the_same(
    answerer: Answerer,
) -> None:
    """Its probability under the fact's own spelling was not asked for ahead."""
    outcome = await proposed(answerer, replace(COMMAND, answer="Kennel", verify=False))
    assert outcome.account.converged
    assert outcome.account.answer_before == "meat"


async def test_the_stages_are_timed_in_the_order_in_which_they_begin(answerer: Answerer) -> None:
    cost = (await proposed(answerer, COMMAND)).cost
    assert [name for name, _ in cost.stages_ms] == [
        "retrieve", "answer_before", "relations", "score", "decide", "answer_after",
    ]  # fmt: skip
