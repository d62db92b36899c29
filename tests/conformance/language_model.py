"""The suite that every LanguageModel passes.

A model's own tests subclass it and provide the fixture `language_model`.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from server.errors import DeadlinePassed, TextTooLong
from server.tuning.deadline import deadline_at
from server.tuning.ports import Branch, GenerateRequest, LanguageModel
from server.tuning.templates import reasoning_prompt, retrieval_prompt

QUERY = "What does a dog enjoy?"
RETRIEVAL = Branch(retrieval_prompt(QUERY, "dog"), (" likes", " is located in", " has a"))
FACTS = [
    Branch(reasoning_prompt(QUERY, [fact]), (" meat", " vegetables", " long walks in the park"))
    for fact in ("dog likes meat", "dog is located in kennel")
]


class LanguageModelConformance:
    """What every model does."""

    async def test_each_continuation_of_each_branch_has_a_logprob_in_order(
        self, language_model: LanguageModel
    ) -> None:
        scores = await language_model.score([RETRIEVAL, *FACTS])
        assert [len(row) for row in scores.logprobs] == [3, 3, 3]
        assert all(lp.total < 0 and lp.tokens > 0 for row in scores.logprobs for lp in row)
        assert scores.logprobs[1][2].tokens > scores.logprobs[1][0].tokens
        assert scores.cost.forward_passes >= 1
        assert scores.cost.tokens_read > 0
        assert scores.cost.tokens_generated == 0

    async def test_the_same_question_has_the_same_answer(
        self, language_model: LanguageModel
    ) -> None:
        assert await language_model.score([RETRIEVAL]) == await language_model.score([RETRIEVAL])

    async def test_what_else_is_asked_changes_nothing(self, language_model: LanguageModel) -> None:
        together = (await language_model.score([*FACTS, RETRIEVAL])).logprobs[2]
        alone = (await language_model.score([RETRIEVAL])).logprobs[0]
        for a, b in zip(together, alone, strict=True):
            assert a.tokens == b.tokens
            assert a.total == pytest.approx(b.total, abs=1e-4)

    async def test_nothing_asked_is_nothing_answered(self, language_model: LanguageModel) -> None:
        assert (await language_model.score([Branch("a", ())])).logprobs == ((),)

    async def test_generation_without_temperature_repeats(
        self, language_model: LanguageModel
    ) -> None:
        request = GenerateRequest(FACTS[0].prompt, 8)
        assert await whole(language_model, request) == await whole(language_model, request)

    async def test_max_tokens_bounds_and_costs_add_up(self, language_model: LanguageModel) -> None:
        pieces = [p async for p in language_model.generate(GenerateRequest(FACTS[0].prompt, 3))]
        assert 0 < sum(p.cost.tokens_generated for p in pieces) <= 3
        assert pieces[0].cost.tokens_read > 1
        assert sum(p.cost.forward_passes for p in pieces) >= 1

    async def test_a_text_beyond_the_context_says_how_long(
        self, language_model: LanguageModel
    ) -> None:
        for call in (
            language_model.score([Branch("dog " * 3000, (" likes",))]),
            whole(language_model, GenerateRequest("dog " * 3000, 3)),
        ):
            with pytest.raises(TextTooLong) as refused:
                await call
            assert refused.value.tokens > refused.value.limit > 0

    async def test_a_text_beyond_the_context_names_its_field(
        self, language_model: LanguageModel
    ) -> None:
        long = " dog" * 3000
        for branch, field in (
            (
                Branch("a", (" likes", long), fields=("candidates[0]", "candidates[1]")),
                "candidates[1]",
            ),
            (Branch(f"a{long}", (" likes",), fields=("answer",)), "query"),
            (Branch(f"a{long}", (" likes",), field="answer"), "answer"),
        ):
            with pytest.raises(TextTooLong) as refused:
                await language_model.score([FACTS[0], branch])
            assert refused.value.field == field
        with pytest.raises(TextTooLong) as refused:
            await whole(language_model, GenerateRequest(long, 3, field="answer"))
        assert refused.value.field == "answer"

    async def test_work_past_its_deadline_is_dropped(self, language_model: LanguageModel) -> None:
        past = time.monotonic() - 1
        with deadline_at(past):
            with pytest.raises(DeadlinePassed):
                await language_model.score([RETRIEVAL])
            with pytest.raises(DeadlinePassed):
                await whole(language_model, GenerateRequest(QUERY, 3))

    async def test_callers_side_by_side_get_their_own(self, language_model: LanguageModel) -> None:
        alone = [await language_model.score([branch]) for branch in FACTS]
        assert await asyncio.gather(*(language_model.score([branch]) for branch in FACTS)) == alone


async def whole(model: LanguageModel, request: GenerateRequest) -> str:
    """A generation's text."""
    return "".join([piece.text async for piece in model.generate(request)])
