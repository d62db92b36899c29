"""The suite that every LanguageModel passes.

A model's own tests subclass it and provide the fixture `language_model`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from server.errors import DeadlinePassed, TextTooLong
from server.graph.checks import MAX_ID_BYTES
from server.tuning.deadline import deadline_at
from server.tuning.ports import Branch, GenerateRequest, Key, LanguageModel, Scores
from server.tuning.templates import reasoning_prompt, retrieval_prompt, root_prompt

QUERY = "What does a dog enjoy?"
RETRIEVAL = Branch(retrieval_prompt(QUERY, "dog"), (" likes", " is located in", " has a"))
FACTS = [
    Branch(reasoning_prompt(QUERY, [fact]), (" meat", " vegetables", " long walks in the park"))
    for fact in ("dog likes meat", "dog is located in kennel")
]
KEYED = Branch(root_prompt(QUERY), (), keyed=True)
OTHERS = [
    Branch(root_prompt(query), (), keyed=True)
    for query in ("Where do you find a kennel?", "What does a dog eat, and where?")
]


class LanguageModelConformance:
    """What every model does.

    A model whose numbers depend on what was asked before says by how much: its log-probabilities
    are `within` so much of each other however they are asked for, and within `repeats_within` if
    the same is asked again.
    """

    within = 1e-4
    repeats_within = 0.0

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
        first, again = [await language_model.score([RETRIEVAL]) for _ in range(2)]
        assert_same_scores(again, first, self.repeats_within)

    async def test_what_else_is_asked_changes_nothing(self, language_model: LanguageModel) -> None:
        together = (await language_model.score([*FACTS, RETRIEVAL])).logprobs[2]
        alone = (await language_model.score([RETRIEVAL])).logprobs[0]
        for a, b in zip(together, alone, strict=True):
            assert a.tokens == b.tokens
            assert a.total == pytest.approx(b.total, abs=self.within)

    async def test_nothing_asked_is_nothing_answered(self, language_model: LanguageModel) -> None:
        assert (await language_model.score([Branch("a", ())])).logprobs == ((),)

    async def test_generation_without_temperature_repeats(
        self, language_model: LanguageModel
    ) -> None:
        request = GenerateRequest(FACTS[0].prompt, 8)
        assert await whole(language_model, request) == await whole(language_model, request)

    async def test_drafts_change_no_text_and_no_number_of_tokens(
        self, language_model: LanguageModel
    ) -> None:
        plain = GenerateRequest(FACTS[0].prompt, 8)
        text = await whole(language_model, plain)
        generated = await tokens_generated(language_model, plain)
        for drafts in [(text,), (f" {text}", ""), (" meat", " meat and bones", "犬"), (text[:3],)]:
            drafted = replace(plain, drafts=drafts)
            assert await whole(language_model, drafted) == text
            assert await tokens_generated(language_model, drafted) == generated

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
            (Branch(f"a{long}", (), field="answer", keyed=True), "answer"),
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
            for branch in (RETRIEVAL, KEYED):
                with pytest.raises(DeadlinePassed):
                    await language_model.score([branch])
            with pytest.raises(DeadlinePassed):
                await whole(language_model, GenerateRequest(QUERY, 3))

    async def test_callers_side_by_side_get_their_own(self, language_model: LanguageModel) -> None:
        alone = [await language_model.score([branch]) for branch in FACTS]
        together = await asyncio.gather(*(language_model.score([branch]) for branch in FACTS))
        for found, expected in zip(together, alone, strict=True):
            assert_same_scores(found, expected, self.repeats_within)

    # Keys

    async def test_a_key_has_length_1(self, language_model: LanguageModel) -> None:
        keys = [await key_of(language_model, branch) for branch in (KEYED, *OTHERS)]
        for key in keys:
            assert key.dtype == np.float32
            assert key.shape == keys[0].shape == (len(key),)
            assert np.linalg.norm(key) == pytest.approx(1, abs=1e-5)
        assert all(float(key @ keys[0]) < 0.9999 for key in keys[1:])

    async def test_keys_are_there_for_those_who_ask_in_order(
        self, language_model: LanguageModel
    ) -> None:
        scores = await language_model.score([RETRIEVAL, OTHERS[0], *FACTS, KEYED, KEYED])
        assert [key is not None for key in scores.keys] == [False, True, False, False, True, True]
        assert [len(row) for row in scores.logprobs] == [3, 0, 3, 3, 0, 0]
        assert_same(scores.keys[1], await key_of(language_model, OTHERS[0]))
        assert_same(scores.keys[4], await key_of(language_model, KEYED))
        assert_same(scores.keys[5], scores.keys[4])

    async def test_a_key_does_not_depend_on_what_else_is_asked(
        self, language_model: LanguageModel
    ) -> None:
        alone = await key_of(language_model, KEYED)
        for others in ([RETRIEVAL], FACTS, OTHERS, [*FACTS, *OTHERS, RETRIEVAL] * 5):
            for asked in ([*others, KEYED], [KEYED, *others]):
                scores = await language_model.score(asked)
                assert_same(scores.keys[asked.index(KEYED)], alone)

    async def test_a_key_changes_nothing_about_what_else_is_asked(
        self, language_model: LanguageModel
    ) -> None:
        alone = (await language_model.score([RETRIEVAL])).logprobs[0]
        with_key = (await language_model.score([RETRIEVAL, KEYED])).logprobs[0]
        assert [lp.tokens for lp in with_key] == [lp.tokens for lp in alone]
        for a, b in zip(with_key, alone, strict=True):
            assert a.total == pytest.approx(b.total, abs=self.within)

    async def test_a_branch_may_have_continuations_and_a_key(
        self, language_model: LanguageModel
    ) -> None:
        both = Branch(KEYED.prompt, (" dog", " dog in a park"), keyed=True)
        scores = await language_model.score([both])
        assert_same(scores.keys[0], await key_of(language_model, KEYED))
        plain = await language_model.score([Branch(both.prompt, both.continuations)])
        assert plain.keys == (None,)
        for a, b in zip(scores.logprobs[0], plain.logprobs[0], strict=True):
            assert a.tokens == b.tokens
            assert a.total == pytest.approx(b.total, abs=self.within)

    async def test_the_key_costs_no_pass_next_to_the_relations_of_the_same_query(
        self, language_model: LanguageModel
    ) -> None:
        without = (await language_model.score([RETRIEVAL])).cost
        with_key = (await language_model.score([RETRIEVAL, KEYED])).cost
        assert with_key.forward_passes == without.forward_passes
        assert with_key.tokens_generated == 0

    async def test_a_key_alone_is_one_pass(self, language_model: LanguageModel) -> None:
        cost = (await language_model.score([KEYED])).cost
        assert cost.forward_passes == 1
        assert cost.tokens_read > 0

    async def test_callers_side_by_side_get_their_own_keys(
        self, language_model: LanguageModel
    ) -> None:
        branches = [KEYED, *OTHERS]
        alone = [await key_of(language_model, branch) for branch in branches]
        together = await asyncio.gather(*(key_of(language_model, b) for b in branches))
        for one, other in zip(together, alone, strict=True):
            assert_same(one, other)

    async def test_a_model_says_what_its_keys_mean(self, language_model: LanguageModel) -> None:
        assert -1 <= language_model.floor <= language_model.sure <= 1
        assert 0 < len(language_model.key_fingerprint) <= MAX_ID_BYTES


async def key_of(model: LanguageModel, branch: Branch) -> Key:
    """The branch's key, asked for alone."""
    [key] = (await model.score([branch])).keys
    assert key is not None
    return key


def assert_same_scores(found: Scores, expected: Scores, within: float) -> None:
    """Require the same scores, up to so much in each log-probability, at the same cost."""
    assert found.cost == expected.cost
    for row, other in zip(found.logprobs, expected.logprobs, strict=True):
        assert [lp.tokens for lp in row] == [lp.tokens for lp in other]
        for a, b in zip(row, other, strict=True):
            assert a.total == pytest.approx(b.total, rel=0, abs=within)


def assert_same(key: Key | None, expected: Key | None) -> None:
    """Require two keys that differ by rounding only."""
    assert key is not None
    assert expected is not None
    assert key == pytest.approx(expected, abs=1e-4)


async def tokens_generated(model: LanguageModel, request: GenerateRequest) -> int:
    """How many tokens a generation cost."""
    return sum([piece.cost.tokens_generated async for piece in model.generate(request)])


async def whole(model: LanguageModel, request: GenerateRequest) -> str:
    """A generation's text."""
    return "".join([piece.text async for piece in model.generate(request)])
