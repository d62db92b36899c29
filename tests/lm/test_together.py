"""Questions of one request that begin in one forward pass."""

from __future__ import annotations

import asyncio

import pytest

from server.errors import TextTooLong
from server.lm.loading import LoadedModel
from server.lm.transformers_model import TransformersModel
from server.tuning.cost import CostMeter
from server.tuning.ports import Branch, GenerateRequest, Scores
from server.tuning.together import asked_with, together
from tests.conformance.language_model import whole
from tests.lm.passes import Passes

BRANCH = Branch("the quick brown fox", (" jumps over", " likes"))
REQUEST = GenerateRequest("the dog", 1, stop=())


async def metered_score(model: TransformersModel, meter: CostMeter) -> Scores:
    scores = await model.score([BRANCH])
    meter.add(scores.cost)
    return scores


async def metered_text(model: TransformersModel, meter: CostMeter) -> str:
    text = ""
    async for piece in model.generate(REQUEST):
        meter.add(piece.cost)
        text += piece.text
    return text


async def test_a_score_and_a_generation_share_their_first_pass_and_pay_for_it_once(
    loaded: LoadedModel,
) -> None:
    model = TransformersModel(loaded)
    alone = await model.score([BRANCH]), await whole(model, REQUEST)
    for _ in range(10):
        meter = CostMeter()
        with Passes(loaded) as passes:
            scores, text = await together(metered_score(model, meter), metered_text(model, meter))
        assert len(passes.lengths) == meter.total().model.forward_passes == 1
        assert passes.lengths == [meter.total().model.tokens_read]
        assert text == alone[1]
        for a, b in zip(scores.logprobs[0], alone[0].logprobs[0], strict=True):
            assert a.total == pytest.approx(b.total, abs=1e-4)
    model.close()


async def test_what_asks_nothing_or_later_holds_nobody_up(loaded: LoadedModel) -> None:
    model = TransformersModel(loaded)

    async def nothing() -> int:
        return 1

    async def later() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await whole(model, REQUEST) + await whole(model, REQUEST)

    expected = await model.score([BRANCH])
    assert await together(nothing(), model.score([BRANCH])) == (1, expected)
    scores, text = await together(model.score([BRANCH]), later())
    assert scores == expected
    assert text == 2 * await whole(model, REQUEST)
    assert asked_with.get() is None
    model.close()


async def test_one_that_is_refused_ends_the_other_with_its_own_error(loaded: LoadedModel) -> None:
    model = TransformersModel(loaded, queue_capacity=2)
    for _ in range(4):
        with pytest.raises(TextTooLong):
            await together(model.score([Branch("dog " * 300, (" likes",))]), whole(model, REQUEST))
    assert await whole(model, REQUEST), "nothing waits for ever"
    model.close()
