"""A model on another server is a language model like any other, however the server is asked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from server.errors import (
    DeadlinePassed,
    Internal,
    ModelBusy,
    ModelUnreachable,
    RequestTooLarge,
    ShuttingDown,
    TextTooLong,
)
from server.lm.loading import LoadedModel
from server.lm.pace import Overloaded
from server.lm.remote import remote_model, scoring
from server.lm.remote.loading import RemoteChoice, connected
from server.lm.remote.remote_model import IN_FLIGHT, RemoteModel
from server.lm.transformers_model import TransformersModel
from server.tuning.deadline import deadline_at
from server.tuning.ports import Branch, GenerateRequest, LanguageModel, Scores
from server.tuning.watching import UNSEEN
from tests.conformance.language_model import (
    FACTS,
    KEYED,
    RETRIEVAL,
    LanguageModelConformance,
    assert_same,
    key_of,
    whole,
)
from tests.lm.remote.peer import Manners, Peer
from tests.lm.test_transformers_model import naive
from tests.telemetry.seeing import Seen

MANNERS = {
    "echo, many tokens": Manners(),
    "echo, many texts": Manners(takes_tokens=False, leaves_out_first=True),
    "bias, single tokens": Manners(echoes=False, takes_samplers=False),
    "bias, single texts": Manners(
        takes_tokens=False, takes_many=False, shifted=True, tells_usage=False
    ),
    "echo, single texts": Manners(
        takes_tokens=False, takes_many=False, takes_bias=False, tells_context=False
    ),
}
"""Servers by the way in which they are to be asked."""
WHALE = Branch("the 鯨 is a", (" dog", " 鯨鯨 in the park"))
DOG = GenerateRequest("the dog", 12, stop=())


@contextlib.asynccontextmanager
async def remote(
    choice: RemoteChoice, keys: LoadedModel, seen: Seen | None = None
) -> AsyncIterator[RemoteModel]:
    """A model that has found out how the server is to be asked."""
    sight = UNSEEN if seen is None else seen.sight
    model = await asyncio.to_thread(
        lambda: connected(choice, lambda: TransformersModel(keys), sight=sight)
    )
    try:
        yield model
    finally:
        await asyncio.to_thread(model.close)


@pytest_asyncio.fixture(
    scope="class", loop_scope="class", params=["echo, many tokens", "bias, single texts"]
)
async def language_model(
    request: pytest.FixtureRequest,
    running_peer: Peer,
    choice: RemoteChoice,
    loaded_keys: LoadedModel,
) -> AsyncIterator[LanguageModel]:
    running_peer.manners = replace(MANNERS[request.param])
    async with remote(choice, loaded_keys) as model:
        yield model


@pytest.mark.asyncio(loop_scope="class")
class TestRemoteModel(LanguageModelConformance):
    """In the best way and in llama-cpp-python's."""


@pytest_asyncio.fixture
async def model(
    peer: Peer, choice: RemoteChoice, loaded_keys: LoadedModel
) -> AsyncIterator[RemoteModel]:
    """A model on a server with good manners, and nothing asked yet since the check."""
    async with remote(choice, loaded_keys) as found:
        peer.asked.clear()
        yield found


@pytest.mark.parametrize("way", MANNERS)
async def test_in_every_way_the_server_says_what_the_weights_say(
    way: str, peer: Peer, choice: RemoteChoice, decided_folder: Path, loaded_keys: LoadedModel
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(decided_folder)
    weights = AutoModelForCausalLM.from_pretrained(decided_folder).eval()
    peer.manners = replace(MANNERS[way])
    async with remote(choice, loaded_keys) as model:
        assert str(model.dialect) == way
        branches = [RETRIEVAL, WHALE, *FACTS]
        scores = await model.score(branches)
        text = await whole(model, DOG)
    for branch, row in zip(branches, scores.logprobs, strict=True):
        for continuation, found in zip(branch.continuations, row, strict=True):
            expected = naive(weights, tokenizer, branch.prompt, continuation)
            assert (found.total, found.tokens) == pytest.approx(expected, abs=1e-3)
    start = tokenizer("the dog", return_tensors="pt").input_ids
    with torch.inference_mode():
        written = weights.generate(start, max_new_tokens=12, do_sample=False, pad_token_id=0)
    assert text == tokenizer.decode(written[0, start.shape[1] :], skip_special_tokens=True)


async def test_branches_go_in_one_request_and_what_is_asked_twice_goes_once(
    peer: Peer, model: RemoteModel
) -> None:
    scores = await model.score([RETRIEVAL, *FACTS, RETRIEVAL])
    [asked] = peer.asked
    assert len(asked["prompt"]) == 9
    assert scores.logprobs[0] == scores.logprobs[3]
    assert scores.cost.forward_passes == 1


async def test_many_branches_go_in_several_bounded_requests(
    peer: Peer, model: RemoteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await model.score([Branch("the dog", tuple(f" {number}" for number in range(10)))])
    peer.asked.clear()
    monkeypatch.setattr(scoring, "_REQUEST_PROMPTS", 4)
    parts = await model.score([Branch("the dog", tuple(f" {number}" for number in range(10)))])
    assert sorted(len(asked["prompt"]) for asked in peer.asked) == [2, 4, 4]
    assert parts.logprobs == whole.logprobs


async def test_keys_are_those_of_the_model_on_this_machine(
    peer: Peer, model: RemoteModel, loaded_keys: LoadedModel
) -> None:
    [key] = (await model.score([KEYED])).keys
    assert not peer.asked
    own = TransformersModel(loaded_keys)
    assert_same(key, await key_of(own, KEYED))
    assert (model.floor, model.sure) == (own.floor, own.sure)
    assert model.key_fingerprint == own.key_fingerprint
    own.close()


# Generating


async def test_a_generation_ends_before_a_stop_text_but_not_at_the_line_end_before_an_answer(
    peer: Peer, model: RemoteModel
) -> None:
    text = await whole(model, DOG)
    stop = text.strip()[3:6]
    cut = await whole(model, replace(DOG, stop=(stop,)))
    assert text.startswith(cut)
    assert stop not in cut.strip()
    assert "stop" not in peer.asked[-1]


async def test_leaving_early_ends_the_generation_at_the_server(
    peer: Peer, model: RemoteModel
) -> None:
    pieces = model.generate(replace(DOG, max_tokens=200))
    await anext(pieces)
    await pieces.aclose()  # type: ignore[attr-defined]
    assert await asyncio.to_thread(peer.left_early.wait, 60)
    assert await whole(model, DOG)


async def test_a_seed_repeats_a_draw(model: RemoteModel) -> None:
    def drawn(seed: int) -> GenerateRequest:
        return replace(DOG, temperature=30.0, seed=seed)

    assert await whole(model, drawn(3)) == await whole(model, drawn(3))
    assert len({await whole(model, drawn(seed)) for seed in range(4)}) > 1


async def test_a_stream_that_breaks_off_is_an_error(peer: Peer, model: RemoteModel) -> None:
    peer.manners.breaks_off_after = 2
    with pytest.raises(ModelUnreachable):
        await whole(model, DOG)


async def test_the_number_of_tokens_is_the_one_that_the_server_tells(model: RemoteModel) -> None:
    """A character of several tokens comes in one event."""
    pieces = [p async for p in model.generate(replace(DOG, temperature=99.0, seed=1))]
    assert sum(piece.cost.tokens_generated for piece in pieces) == 12


# What does not fit


async def test_a_context_that_the_server_did_not_tell_is_learned_from_its_refusal(
    peer: Peer, choice: RemoteChoice, loaded_keys: LoadedModel
) -> None:
    peer.manners.tells_context = False
    async with remote(choice, loaded_keys) as model:
        with pytest.raises(TextTooLong) as refused:
            await model.score([Branch("dog " * 300, (" likes",), field="answer")])
        assert (refused.value.field, refused.value.limit) == ("answer", 255)
        text = "dog " * 100
        asked = len(peer.asked)
        pieces = [p async for p in model.generate(GenerateRequest(text, 300, stop=()))]
        assert sum(piece.cost.tokens_generated for piece in pieces) <= 256 - 100
        assert len(peer.asked) == asked + 1


async def test_too_much_in_one_call_is_refused(
    peer: Peer, model: RemoteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_model, "_REQUEST_TOKENS", 400)
    branches = [Branch(f"{number}{' dog' * 100}", (" likes",)) for number in range(4)]
    with pytest.raises(RequestTooLarge):
        await model.score(branches)
    assert not peer.asked
    assert await model.score(branches[:3])


# Failures


async def test_a_busy_or_failing_server_is_asked_again(peer: Peer, model: RemoteModel) -> None:
    expected = await model.score([RETRIEVAL])
    peer.manners.retry_after_s = 0
    peer.manners.failures = [503, 429, "drop", 500]
    assert await model.score([RETRIEVAL]) == expected
    peer.manners.failures = ["drop", 429]
    assert await whole(model, DOG)


@pytest.mark.parametrize(("failure", "error"), [(429, Overloaded), (503, ModelUnreachable)])
async def test_no_attempt_is_made_that_would_come_after_the_deadline(
    failure: int, error: type[Exception], peer: Peer, model: RemoteModel
) -> None:
    peer.manners.failures = [failure]
    peer.manners.retry_after_s = 60
    with deadline_at(time.monotonic() + 50), pytest.raises(error):
        await model.score([RETRIEVAL])
    assert len(peer.asked) == 1


async def test_a_server_that_does_not_answer_in_time_is_left(
    peer: Peer, model: RemoteModel
) -> None:
    peer.manners.gate = threading.Event()
    with deadline_at(time.monotonic() + 0.3):
        for call in (model.score([RETRIEVAL]), whole(model, DOG)):
            with pytest.raises(DeadlinePassed):
                await call
    peer.manners.gate.set()


async def test_more_calls_than_may_wait_are_refused(peer: Peer, model: RemoteModel) -> None:
    peer.manners.gate = threading.Event()
    calls = [
        asyncio.create_task(model.score([Branch(f"dog {number}", (" likes",))]))
        for number in range(IN_FLIGHT + 5)
    ]
    refused, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
    peer.manners.gate.set()
    assert [type(call.exception()) for call in refused] == [ModelBusy]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, Scores) for one in found) == IN_FLIGHT + 4


async def test_a_refused_key_is_reported_and_nothing_of_it_or_of_texts_is_logged(
    peer: Peer, choice: RemoteChoice, loaded_keys: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    peer.manners.key = "opensesame"
    with_key = replace(choice, key="opensesame")
    assert "opensesame" not in repr(with_key)
    async with remote(with_key, loaded_keys) as model:
        assert await model.score([RETRIEVAL])
        assert {sent["authorization"] for sent in peer.headers} == {"Bearer opensesame"}
        peer.manners.key = "another"
        with pytest.raises(ModelUnreachable):
            await model.score([RETRIEVAL])
    logged = "".join(str(record.__dict__) for record in caplog.records)
    assert "HTTP 401" in logged
    assert "opensesame" not in logged
    assert "enjoy" not in logged


async def test_a_server_that_changed_is_a_defect_that_names_no_text(
    peer: Peer, model: RemoteModel
) -> None:
    peer.manners.echoes = False
    with pytest.raises(Internal) as failed:
        await model.score([RETRIEVAL])
    assert "enjoy" not in str(failed.value)


async def test_calls_that_learn_the_context_at_once_are_all_told(
    peer: Peer, choice: RemoteChoice, loaded_keys: LoadedModel
) -> None:
    peer.manners.tells_context = False
    long = Branch("dog " * 300, (" likes",))
    async with remote(choice, loaded_keys) as model:
        found = await asyncio.gather(
            *(model.score([long]) for _ in range(3)), return_exceptions=True
        )
    assert [type(one) for one in found] == [TextTooLong] * 3


async def test_a_model_may_be_closed_on_the_event_loop(model: RemoteModel) -> None:
    assert await model.score([RETRIEVAL])
    model.close()
    with pytest.raises(ShuttingDown):
        await model.score([RETRIEVAL])


async def test_a_closed_model_takes_no_more(model: RemoteModel) -> None:
    assert await model.score([RETRIEVAL])
    await asyncio.to_thread(model.close)
    with pytest.raises(ShuttingDown):
        await model.score([RETRIEVAL])
    with pytest.raises(ShuttingDown):
        await whole(model, DOG)
