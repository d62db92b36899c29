"""Requests share the model's thread: passes of many, memory that runs out, a full queue."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
import torch

from server.errors import DeadlinePassed, ModelBusy, ShuttingDown
from server.lm import schedule
from server.lm.forward import MaskedForward, Taps
from server.lm.loading import LoadedModel
from server.lm.states import StateTap
from server.lm.transformers_model import TransformersModel
from server.tuning.deadline import deadline_at
from server.tuning.ports import Branch, GenerateRequest
from server.tuning.ticket import Ticket, call_ticket
from tests.conformance.language_model import assert_same, whole
from tests.lm.passes import Passes, prepared

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
    """Next to trees of the same shape the numbers are bit-identical, whatever those say.

    Next to others they are equal within 1e-4.
    """
    model = TransformersModel(loaded)
    own = [Branch("the quick brown fox", (" likes meat", " jumps over the lazy dog"))]
    next_to = ["dog dog dog", "fox fox fox", "over the dog", "likes likes likes"]
    found = []
    for words in next_to:
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
    """What comes while a generation is under way joins the generation's very next pass."""
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


async def test_while_a_text_is_written_scoring_is_cut_to_its_share_and_says_the_same(
    loaded: LoadedModel,
) -> None:
    """What cannot be cut without reading much again is not: the tree of a single prompt."""
    model = TransformersModel(loaded, token_budget=200, prompt_share=0.2)
    several = [
        Branch(f"{text} number {n} likes", (" the kennel", " meat", " a long walk"), keyed=n == 3)
        for n, text in enumerate(("the dog", "a fox", "over the hill", "lazy", "quick and brown"))
    ]
    expected = await model.score(several)
    request = GenerateRequest("the dog", 60, stop=(), temperature=1.0, seed=1)
    text = await whole(model, request)
    with Passes(loaded, block_first=True) as passes:
        generating = asyncio.ensure_future(whole(model, request))
        await asyncio.to_thread(passes.started.wait, 30)
        scoring = asyncio.ensure_future(model.score(several))
        await prepared(model, 1)
        passes.release.set()
        scores = await scoring
        assert await generating == text
    model.close()
    assert expected.cost.forward_passes == 1
    assert scores.cost.forward_passes > 1
    assert max(passes.lengths[1:]) <= 1 + 40
    assert scores.cost.tokens_read <= 1.25 * expected.cost.tokens_read
    for one, other in zip(scores.logprobs, expected.logprobs, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a.total == pytest.approx(b.total, abs=1e-4)
    assert_same(scores.keys[3], expected.keys[3])


async def test_a_calls_later_work_goes_before_what_came_after_the_call(loaded: LoadedModel) -> None:
    model = TransformersModel(loaded, token_budget=16)
    ended: list[str] = []

    async def ask(name: str, ticket: Ticket) -> None:
        call_ticket.set(ticket)
        await model.score([Branch("the quick brown fox likes", (" the kennel dog", " meat dog"))])
        ended.append(name)

    old, new = Ticket(), Ticket()
    with Passes(loaded, block_first=True) as passes:
        first = asyncio.create_task(ask("old, first", old))
        await asyncio.to_thread(passes.started.wait, 30)
        waiting = [
            asyncio.create_task(ask(name, ticket))
            for name, ticket in (("new", new), ("newest", Ticket()), ("old, second", old))
        ]
        await prepared(model, 3)
        passes.release.set()
        await asyncio.gather(first, *waiting)
    model.close()
    assert ended == ["old, first", "old, second", "new", "newest"]
    assert old.tokens_read == 2 * new.tokens_read > 0


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
    plain._worker._forward = MaskedForward(
        loaded.model, Taps(StateTap(loaded.model, loaded.keys.layer))
    )
    request = GenerateRequest("the dog likes", 9, stop=())
    asked = [
        Branch("the quick brown fox", (" likes meat", " jumps over the lazy dog"), keyed=True),
        Branch("a", (" dog",)),
        Branch("the quick", (), keyed=True),
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
    assert scores[0].keys[1] is None
    for number in (0, 2):
        assert_same(scores[0].keys[number], scores[1].keys[number])


# Memory


async def test_out_of_memory_halves_the_budget_and_goes_on(loaded: LoadedModel) -> None:
    model = TransformersModel(loaded, token_budget=256)
    asked = [
        Branch(f"the dog number {n} likes", (" the kennel", " meat"), keyed=n % 3 == 0)
        for n in range(20)
    ]
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
    for number in range(0, 20, 3):
        assert_same(scores.keys[number], expected.keys[number])


async def test_the_budget_recovers_once_passes_fit_again(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try that comes too early costs one failed pass. No caller notices."""
    monkeypatch.setattr(schedule, "RECOVERY_PASSES", 3)
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
