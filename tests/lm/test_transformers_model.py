"""The real model's port: the packed result equals the naive one, generation stops where it should, the queue is bounded."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.errors import DeadlinePassed, ModelBusy, ShuttingDown, TextTooLong
from server.lm.decoding import GrowingText
from server.lm.loading import LoadedModel
from server.lm.transformers_model import TransformersModel
from server.lm.worker import Job
from server.tuning.ports import Branch, GenerateRequest, LanguageModel
from tests.conformance.language_model import LanguageModelConformance, whole
from tests.lm.tiny_models import BEGIN


class TestTransformersModel(LanguageModelConformance):
    @pytest.fixture
    def language_model(self, model: TransformersModel) -> LanguageModel:
        return model


def naive(loaded: LoadedModel, prompt: str, continuation: str) -> tuple[float, int]:
    """One text a forward pass, nothing shared: what the packed result must equal."""
    tokenizer = loaded.tokenizer
    head, ids = tokenizer(prompt).input_ids, tokenizer(prompt + continuation).input_ids
    start = 0
    while start < min(len(head), len(ids)) and head[start] == ids[start]:
        start += 1
    if start == 0:
        stand_in = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        ids, start = [stand_in, *ids], 1
    start = min(start, len(ids) - 1)
    with torch.inference_mode():
        logprobs = loaded.model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
    return sum(float(logprobs[at - 1, ids[at]]) for at in range(start, len(ids))), len(ids) - start


words = st.sampled_from(["dog", "likes", "is located in", "犬", "naïve", "a", "'s", "42", "?", "<sep>", "x" * 30, "🐶"])
texts = st.lists(words, max_size=6).map(" ".join)
continuations = st.one_of(
    st.lists(words, min_size=1, max_size=3).map(lambda w: " " + " ".join(w)), st.just(" a" * 50), st.just(" dog")
)
branches = st.lists(
    st.builds(Branch, st.one_of(texts, st.sampled_from(["", "To answer", "To answer the"])), st.lists(continuations, min_size=1, max_size=4).map(tuple)),
    min_size=1,
    max_size=6,
)  # fmt: skip


@pytest.mark.parametrize("row_tokens", [1, 40, 4096])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=branches)
def test_packed_equals_naive(loaded: LoadedModel, row_tokens: int, asked: list[Branch]) -> None:
    model = TransformersModel(loaded, row_tokens=row_tokens)
    try:
        scores = asyncio.run(model.score(asked))
    finally:
        model.close()
    for branch, row in zip(asked, scores.logprobs, strict=True):
        for continuation, found in zip(branch.continuations, row, strict=True):
            total, tokens = naive(loaded, branch.prompt, continuation)
            assert found.tokens == tokens
            assert found.total == pytest.approx(total, abs=1e-4)


async def test_shared_beginnings_are_read_once(model: TransformersModel) -> None:
    one = (await model.score([Branch("the quick brown fox", (" jumps",))])).cost.tokens_read
    two = (await model.score([Branch("the quick brown fox", (" jumps", " dog"))])).cost.tokens_read
    again = (await model.score([Branch("the quick brown fox", (" jumps", " jumps"))])).cost.tokens_read
    assert one < two <= one + 4
    assert again == one


async def test_a_beginning_token_is_there_once_where_the_tokenizer_has_one(loaded: LoadedModel) -> None:
    model = TransformersModel(loaded)
    prompt = model._tokenizer.prompt("the dog")
    begin = loaded.tokenizer.convert_tokens_to_ids(BEGIN)
    assert prompt.count(begin) == (1 if loaded.tokenizer.bos_token else 0)
    assert prompt[-1] != loaded.tokenizer.eos_token_id
    model.close()


async def test_pieces_join_to_the_text_that_all_tokens_decode_to(model: TransformersModel) -> None:
    for seed in range(20):
        request = GenerateRequest("naïve café 犬", 24, stop=(), temperature=1.5, seed=seed)
        pieces = [p.text async for p in model.generate(request)]
        assert "".join(pieces) == await whole(model, request)


def test_a_character_of_several_tokens_comes_whole(loaded: LoadedModel) -> None:
    tokens = loaded.tokenizer("a鯨b", add_special_tokens=False).input_ids
    assert len(tokens) > 3
    text = GrowingText(loaded.tokenizer, ())
    assert [piece for token in tokens if (piece := text.feed(token))] == ["a", "鯨", "b"]


async def test_a_seed_repeats_a_draw_and_another_draws_anew(model: TransformersModel) -> None:
    def request(seed: int) -> GenerateRequest:
        return GenerateRequest("the dog", 12, stop=(), temperature=2.0, seed=seed)

    assert await whole(model, request(3)) == await whole(model, request(3))
    assert len({await whole(model, request(seed)) for seed in range(5)}) > 1


async def test_generation_ends_before_a_stop_text(model: TransformersModel) -> None:
    request = GenerateRequest("the dog", 20, stop=())
    text = await whole(model, request)
    stop = text.strip()[2:5]
    cut = await whole(model, GenerateRequest("the dog", 20, stop=(stop,)))
    assert stop not in cut.strip()
    assert text.startswith(cut)
    assert len(cut) < len(text)


async def test_generation_ends_at_the_end_token(loaded: LoadedModel) -> None:
    """The weights are tilted so that the end token always wins."""
    head = loaded.model.get_output_embeddings()
    model = TransformersModel(loaded)
    end = loaded.tokenizer.eos_token_id
    handle = head.register_forward_hook(lambda m, i, out: out.index_fill(-1, torch.tensor([end]), 1e4))
    try:
        pieces = [p async for p in model.generate(GenerateRequest("the dog", 20))]
    finally:
        handle.remove()
        model.close()
    assert [p.text for p in pieces] == [""]
    assert pieces[0].cost.tokens_generated == 0


async def test_generation_stays_within_the_context(model: TransformersModel, loaded: LoadedModel) -> None:
    prompt = " a" * (loaded.context_tokens - 4)
    pieces = [p async for p in model.generate(GenerateRequest(prompt, 50, stop=()))]
    assert sum(p.cost.tokens_generated for p in pieces) <= 4
    with pytest.raises(TextTooLong):
        await whole(model, GenerateRequest(" a" * loaded.context_tokens, 5))


# The queue


async def test_a_full_queue_is_busy_and_recovers(loaded: LoadedModel) -> None:
    model = TransformersModel(loaded, queue_capacity=3)
    release = _blocked(model)
    waiting = [asyncio.ensure_future(model.score([Branch("a", (" b",))])) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ModelBusy) as busy:
        await model.score([Branch("a", (" b",))])
    assert busy.value.retry_after_s is not None
    release.set()
    assert len(await asyncio.gather(*waiting)) == 3
    await model.score([Branch("a", (" b",))])
    model.close()


async def test_what_was_cancelled_or_expired_in_the_queue_never_reaches_the_model(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TransformersModel(loaded)
    asked: list[Sequence[Branch]] = []
    real = model._score_now

    def recorded(branches: Sequence[Branch]) -> Any:
        asked.append(branches)
        return real(branches)

    monkeypatch.setattr(model, "_score_now", recorded)
    release = _blocked(model)
    cancelled = asyncio.ensure_future(model.score([Branch("cancelled", (" b",))]))
    deadline = time.monotonic() + 0.01
    expired = asyncio.ensure_future(model.score([Branch("expired", (" b",))], deadline))
    kept = asyncio.ensure_future(model.score([Branch("kept", (" b",))]))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait({cancelled})
    await asyncio.to_thread(_pass_the_time, until=deadline)
    release.set()
    await kept
    with pytest.raises(DeadlinePassed):
        await expired
    assert [b[0].prompt for b in asked] == ["kept"]
    model.close()


async def test_a_listener_who_leaves_ends_the_generation(loaded: LoadedModel) -> None:
    model = TransformersModel(loaded)
    request = GenerateRequest("the dog", 200, stop=(), temperature=1.0, seed=1)
    passes = 0
    left = threading.Event()

    def after_each_pass(*_: object) -> None:
        nonlocal passes
        passes += 1
        if passes > 1:
            left.wait(30)

    handle = loaded.model.register_forward_hook(after_each_pass)
    try:
        stream = model.generate(request)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        left.set()
        await model.score([Branch("a", (" b",))])
    finally:
        handle.remove()
    assert passes <= 3
    model.close()


async def test_a_closed_model_takes_no_more(loaded: LoadedModel) -> None:
    model = TransformersModel(loaded)
    model.close()
    with pytest.raises(ShuttingDown):
        await model.score([Branch("a", (" b",))])


def _pass_the_time(until: float) -> None:
    while time.monotonic() < until:
        pass


def _blocked(model: TransformersModel) -> threading.Event:
    """Occupies the model's thread until the returned event is set."""
    started, release = threading.Event(), threading.Event()

    def wait(_: Job) -> None:
        started.set()
        release.wait(30)

    model._worker.submit(Job(wait, lambda error: None))
    started.wait(30)
    return release
