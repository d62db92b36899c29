"""The real model's port: the packed result equals the naive one, generation stops where it should,
the queue is bounded."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.errors import DeadlinePassed, ModelBusy, ShuttingDown, TextTooLong
from server.lm import worker
from server.lm.decoding import GrowingText
from server.lm.forward import MaskedForward
from server.lm.loading import LoadedModel
from server.lm.tokens import Tokenizer
from server.lm.transformers_model import TransformersModel
from server.tuning.deadline import deadline_at
from server.tuning.ports import Branch, GenerateRequest, LanguageModel
from tests.conformance.language_model import LanguageModelConformance, whole
from tests.lm.passes import Passes, prepared
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
        stand_in = (
            tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        )
        ids, start = [stand_in, *ids], 1
    start = min(start, len(ids) - 1)
    with torch.inference_mode():
        logprobs = loaded.model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
    return sum(float(logprobs[at - 1, ids[at]]) for at in range(start, len(ids))), len(ids) - start


words = st.sampled_from(
    ["dog", "likes", "is located in", "犬", "naïve", "a", "'s", "42", "?", "<sep>", "x" * 30, "🐶"]
)
texts = st.lists(words, max_size=6).map(" ".join)
continuations = st.one_of(
    st.lists(words, min_size=1, max_size=3).map(lambda w: " " + " ".join(w)),
    st.just(" a" * 50),
    st.just(" dog"),
)
branches = st.lists(
    st.builds(Branch, st.one_of(texts, st.sampled_from(["", "To answer", "To answer the"])), st.lists(continuations, min_size=1, max_size=4).map(tuple)),
    min_size=1,
    max_size=6,
)  # fmt: skip


@pytest.mark.parametrize(
    ("token_budget", "block_tokens"), [(1, 64), (40, 3), (4096, 5), (4096, 64)]
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=branches)
def test_packed_equals_naive(
    loaded: LoadedModel, token_budget: int, block_tokens: int, asked: list[Branch]
) -> None:
    model = TransformersModel(loaded, token_budget=token_budget, block_tokens=block_tokens)
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
    two = (
        await model.score([Branch("the quick brown fox", (" jumps over", " jumps dog"))])
    ).cost.tokens_read
    again = (
        await model.score([Branch("the quick brown fox", (" jumps", " jumps"))])
    ).cost.tokens_read
    assert one < two <= one + 6
    assert again == one


async def test_a_continuation_of_one_token_costs_no_token(model: TransformersModel) -> None:
    one = (await model.score([Branch("the quick brown fox", (" dog",))])).cost
    two = (await model.score([Branch("the quick brown fox", (" dog", " likes"))])).cost
    assert one == two


async def test_a_beginning_token_is_there_once_where_the_tokenizer_has_one(
    loaded: LoadedModel,
) -> None:
    model = TransformersModel(loaded)
    prompt = Tokenizer(loaded.tokenizer, loaded.context_tokens).prompt("the dog")
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
    handle = head.register_forward_hook(
        lambda m, i, out: out.index_fill(-1, torch.tensor([end]), 1e4)
    )
    try:
        pieces = [p async for p in model.generate(GenerateRequest("the dog", 20))]
    finally:
        handle.remove()
        model.close()
    assert [p.text for p in pieces] == [""]
    assert pieces[0].cost.tokens_generated == 0


async def test_generation_stays_within_the_context(
    model: TransformersModel, loaded: LoadedModel
) -> None:
    prompt = " a" * (loaded.context_tokens - 4)
    pieces = [p async for p in model.generate(GenerateRequest(prompt, 50, stop=()))]
    assert sum(p.cost.tokens_generated for p in pieces) <= 4
    with pytest.raises(TextTooLong):
        await whole(model, GenerateRequest(" a" * loaded.context_tokens, 5))


async def test_generations_side_by_side_say_what_each_says_alone(loaded: LoadedModel) -> None:
    """Joining and leaving between tokens: prompts and lengths differ, and scoring comes between."""
    model = TransformersModel(loaded)
    prompts = [
        "the dog",
        "naïve café",
        "To answer the query: What does a dog enjoy?, I need information dog",
        "",
        "0",
    ]
    requests = [
        GenerateRequest(prompt, 5 * n + 3, stop=(), temperature=temperature, seed=n)
        for n, prompt in enumerate(prompts)
        for temperature in (None, 1.5)
    ]
    try:
        alone = [await whole(model, request) for request in requests]
        asked = [model.score([Branch("the dog", (" likes",))]) for _ in range(3)]
        together = await asyncio.gather(*(whole(model, request) for request in requests), *asked)
    finally:
        model.close()
    assert together[: len(alone)] == alone
    assert len(set(alone)) > len(alone) // 2


async def test_a_generation_with_a_cache_says_what_the_model_says_without(
    loaded: LoadedModel,
) -> None:
    model = TransformersModel(loaded, token_budget=16)
    prompt = "To answer the query: What does a dog enjoy?, I need information dog"
    text = await whole(model, GenerateRequest(prompt, 12, stop=()))
    model.close()
    tokens = Tokenizer(loaded.tokenizer, loaded.context_tokens).prompt(prompt)
    start = len(tokens)
    with torch.inference_mode():
        for _ in range(12):
            tokens.append(
                int(loaded.model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax())
            )
            if tokens[-1] == loaded.tokenizer.eos_token_id:
                break
    assert text == loaded.tokenizer.decode(tokens[start:], skip_special_tokens=True)


# Across requests


async def test_what_waits_goes_into_one_pass_up_to_the_budget(loaded: LoadedModel) -> None:
    model = TransformersModel(loaded, token_budget=64)
    asked = [[Branch(f"the dog number {n} likes", (" the kennel", " meat"))] for n in range(12)]
    alone = [await model.score(branches) for branches in asked]
    with Passes(loaded, block_first=True) as passes:
        first = await passes.holding(model)
        waiting = [asyncio.ensure_future(model.score(branches)) for branches in asked]
        await prepared(model, len(waiting))
        passes.release.set()
        together = await asyncio.gather(*waiting)
        await first
    model.close()
    tokens = sum(scores.cost.tokens_read for scores in together)
    assert tokens == sum(passes.lengths[1:])
    assert all(length <= 64 for length in passes.lengths)
    assert len(passes.lengths) - 1 <= tokens / 64 + 2
    for one, other in zip(alone, together, strict=True):
        assert one.cost == other.cost
        for a, b in zip(one.logprobs[0], other.logprobs[0], strict=True):
            assert a.total == pytest.approx(b.total, abs=1e-4)


async def test_another_users_words_change_no_bit(loaded: LoadedModel) -> None:
    """Beside trees of the same shape, whatever they say, the numbers are bit-identical; beside
    others, within 1e-4."""
    model = TransformersModel(loaded)
    own = [Branch("the quick brown fox", (" likes meat", " jumps over the lazy dog"))]
    beside = ["dog dog dog", "fox fox fox", "over the dog", "likes likes likes"]
    found = []
    for words in beside:
        other = [Branch(words, (" dog dog", " fox dog"))]
        with Passes(loaded, block_first=True) as passes:
            first = await passes.holding(model)
            waiting = [asyncio.ensure_future(model.score(branches)) for branches in (other, own)]
            await prepared(model, len(waiting))
            passes.release.set()
            found.append((await asyncio.gather(*waiting))[1])
            await first
        assert len(passes.lengths) == 2, "both went together"
        assert passes.lengths[1] > found[-1].cost.tokens_read
    assert len({passes.lengths[1]}) == 1
    alone = await model.score(own)
    model.close()
    assert all(scores == found[0] for scores in found)
    for a, b in zip(alone.logprobs[0], found[0].logprobs[0], strict=True):
        assert a.total == pytest.approx(b.total, abs=1e-4)


async def test_a_long_generation_does_not_hold_up_scoring(loaded: LoadedModel) -> None:
    """What comes while a generation is under way goes along with the generation's very next pass."""
    model = TransformersModel(loaded)
    ended: list[str] = []

    async def generation() -> None:
        await whole(model, GenerateRequest("the dog", 100, stop=(), temperature=1.0, seed=1))
        ended.append("generation")

    async def scoring() -> int:
        scores = await model.score([Branch("the quick brown fox", (" jumps over",))])
        ended.append("scoring")
        return scores.cost.tokens_read

    with Passes(loaded, block_first=True) as passes:
        generating = asyncio.ensure_future(generation())
        await asyncio.to_thread(passes.started.wait, 30)
        asked = asyncio.ensure_future(scoring())
        await prepared(model, 1)
        passes.release.set()
        _, scored = await asyncio.gather(generating, asked)
    model.close()
    assert ended == ["scoring", "generation"]
    assert passes.lengths[1] == scored + 1, "the question, and a token of the generation"
    assert len(passes.lengths) > 50
    assert set(passes.lengths[2:]) == {1}


async def test_generations_beyond_the_number_of_streams_wait_and_scoring_passes_them(
    loaded: LoadedModel,
) -> None:
    model = TransformersModel(loaded, streams=1)
    requests = [GenerateRequest("the dog", 6, stop=(), temperature=2.0, seed=n) for n in range(3)]
    alone = [await whole(model, request) for request in requests]
    together = await asyncio.gather(*(whole(model, request) for request in requests))
    await model.score([Branch("a", (" b",))])
    model.close()
    assert together == alone


async def test_a_model_whose_attention_cannot_be_replaced_runs_one_by_one(
    loaded: LoadedModel,
) -> None:
    expected = TransformersModel(loaded)
    plain = TransformersModel(loaded)
    plain._worker._forward = MaskedForward(loaded.model)
    request = GenerateRequest("the dog likes", 9, stop=())
    asked = [
        Branch("the quick brown fox", (" likes meat", " jumps over the lazy dog")),
        Branch("a", (" dog",)),
    ]
    scores = await asyncio.gather(expected.score(asked), plain.score(asked))
    assert (
        len(
            set(
                await asyncio.gather(
                    whole(expected, request), whole(plain, request), whole(plain, request)
                )
            )
        )
        == 1
    )
    for model in (expected, plain):
        model.close()
    for one, other in zip(scores[0].logprobs, scores[1].logprobs, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a.total == pytest.approx(b.total, abs=1e-4)


# Memory


async def test_out_of_memory_halves_the_budget_and_goes_on(loaded: LoadedModel) -> None:
    model = TransformersModel(loaded, token_budget=256)
    asked = [Branch(f"the dog number {n} likes", (" the kennel", " meat")) for n in range(20)]
    expected = await model.score(asked)
    text = await whole(model, GenerateRequest("the dog", 9, stop=()))

    def full(_: torch.nn.Module, __: object, kwargs: dict[str, torch.Tensor]) -> None:
        if kwargs["input_ids"].shape[1] > 60:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    handle = loaded.model.register_forward_pre_hook(full, with_kwargs=True)
    try:
        generated, scores = await asyncio.gather(
            whole(model, GenerateRequest("the dog", 9, stop=())), model.score(asked)
        )
    finally:
        handle.remove()
        model.close()
    assert generated == text
    assert 16 <= model.token_budget <= 60
    assert scores.cost.forward_passes > expected.cost.forward_passes == 1
    for one, other in zip(scores.logprobs, expected.logprobs, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a.total == pytest.approx(b.total, abs=1e-4)


async def test_the_budget_recovers_once_passes_fit_again(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a try that comes too early is only one failed pass: it halves the budget anew, and
    nobody is told."""
    monkeypatch.setattr(worker, "RECOVERY_PASSES", 3)
    model = TransformersModel(loaded, token_budget=256)
    asked = [Branch(f"the dog number {n} likes", (" the kennel", " meat")) for n in range(20)]
    expected = await model.score(asked)
    room = 60
    failed = 0

    def full(_: torch.nn.Module, __: object, kwargs: dict[str, torch.Tensor]) -> None:
        nonlocal failed
        if kwargs["input_ids"].shape[1] > room:
            failed += 1
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    handle = loaded.model.register_forward_pre_hook(full, with_kwargs=True)
    try:
        for _ in range(5):
            scores = await model.score(asked)
            for one, other in zip(scores.logprobs, expected.logprobs, strict=True):
                for a, b in zip(one, other, strict=True):
                    assert a.total == pytest.approx(b.total, abs=1e-4)
        assert failed > 1, "more was tried while there was no room yet"
        assert model.token_budget <= 2 * room
        room, before = 1 << 20, failed
        for _ in range(12):
            await model.score([Branch("a", (" b",))])
        assert model.token_budget == 256
        assert (await model.score(asked)).cost == expected.cost
    finally:
        handle.remove()
        model.close()
    assert failed == before


async def test_what_does_not_fit_at_all_is_busy_and_the_next_goes_on(loaded: LoadedModel) -> None:
    model = TransformersModel(loaded)
    broken = True

    def full(*_: object) -> None:
        if broken:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    handle = loaded.model.register_forward_pre_hook(full)
    try:
        for call in (
            model.score([Branch("a dog", (" b",))]),
            whole(model, GenerateRequest("the dog", 9)),
        ):
            with pytest.raises(ModelBusy):
                await call
        broken = False
        await model.score([Branch("a", (" b",))])
    finally:
        handle.remove()
        model.close()


# The queue


async def test_a_full_queue_is_busy_and_recovers(loaded: LoadedModel) -> None:
    model = TransformersModel(loaded, queue_capacity=3)
    with Passes(loaded, block_first=True) as passes:
        first = await passes.holding(model)
        waiting = [asyncio.ensure_future(model.score([Branch("a", (" b",))])) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(ModelBusy) as busy:
            await model.score([Branch("a", (" b",))])
        assert busy.value.retry_after_s is not None
        passes.release.set()
        assert len(await asyncio.gather(*waiting, first)) == 4
        await model.score([Branch("a", (" b",))])
    model.close()


async def test_what_was_cancelled_or_expired_in_the_queue_never_reaches_the_model(
    loaded: LoadedModel,
) -> None:
    model = TransformersModel(loaded)
    with Passes(loaded, block_first=True) as passes:
        first = await passes.holding(model)
        cancelled = asyncio.ensure_future(model.score([Branch("cancelled", (" b",))]))
        deadline = time.monotonic() + 0.01
        with deadline_at(deadline):
            expired = asyncio.ensure_future(model.score([Branch("expired", (" b",))]))
        kept = asyncio.ensure_future(model.score([Branch("kept", (" b",))]))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait({cancelled})
        await asyncio.to_thread(_pass_the_time, until=deadline)
        passes.release.set()
        cost = (await kept).cost
        with pytest.raises(DeadlinePassed):
            await expired
        await first
    assert passes.lengths[1:] == [cost.tokens_read]
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
