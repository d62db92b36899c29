"""Tokenizing delays neither the event loop nor the model, and a failure is one request's."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from server.errors import (
    DeadlinePassed,
    Internal,
    ModelBusy,
    RequestTooLarge,
    ShuttingDown,
    TextTooLong,
)
from server.lm import work
from server.lm.decoding import _Draw
from server.lm.loading import LoadedModel
from server.lm.transformers_model import TransformersModel
from server.tuning.deadline import deadline_at
from server.tuning.ports import Branch, GenerateRequest
from tests.conformance.language_model import whole
from tests.lm.passes import Passes, prepared

BRANCH = Branch("the quick brown fox", (" jumps",))


class ScriptedTokenizer:
    """A tokenizer that notes its calls with their threads, and does `script` before each."""

    def __init__(self, tokenizer: Any, script: Callable[[Sequence[str]], None]) -> None:
        self._tokenizer, self._script = tokenizer, script
        self.calls: list[tuple[str, list[str]]] = []

    def __call__(self, texts: Sequence[str], **arguments: Any) -> Any:
        self.calls.append((threading.current_thread().name, list(texts)))
        self._script(texts)
        return self._tokenizer(texts, **arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def scripted(
    loaded: LoadedModel, script: Callable[[Sequence[str]], None] = lambda _: None, capacity: int = 8
) -> tuple[ScriptedTokenizer, TransformersModel]:
    model = TransformersModel(loaded, queue_capacity=capacity)
    tokenizer = ScriptedTokenizer(loaded.tokenizer, script)
    model._tokenizer.tokenizer = tokenizer  # type: ignore[assignment]
    return tokenizer, model


async def test_texts_are_tokenized_on_threads_of_their_own(loaded: LoadedModel) -> None:
    tokenizer, model = scripted(loaded)
    await model.score([BRANCH])
    await whole(model, GenerateRequest("the dog", 3))
    model.close()
    assert len(tokenizer.calls) >= 2
    assert all(thread.startswith("tokens-") for thread, _ in tokenizer.calls)


async def test_a_text_that_takes_for_ever_holds_up_nobody_else(loaded: LoadedModel) -> None:
    stuck, release = threading.Event(), threading.Event()

    def script(texts: Sequence[str]) -> None:
        if any("slow" in text for text in texts):
            stuck.set()
            assert release.wait(30)

    _, model = scripted(loaded, script)
    slow = asyncio.ensure_future(model.score([Branch("slow", (" jumps",))]))
    await asyncio.to_thread(stuck.wait, 30)
    assert (await model.score([BRANCH])).cost.forward_passes == 1
    assert await whole(model, GenerateRequest("the dog", 3))
    assert not slow.done()
    release.set()
    await slow
    model.close()


async def test_long_texts_delay_only_each_other(loaded: LoadedModel) -> None:
    """A short request is tokenized while the first step of the first long one is under way."""
    gate, begun = threading.Event(), threading.Event()

    def script(texts: Sequence[str]) -> None:
        if any("long" in text for text in texts):
            begun.set()
            assert gate.wait(30)

    tokenizer, model = scripted(loaded, script)
    model._tokenizer.context_tokens = 1 << 20
    long = [
        asyncio.ensure_future(model.score([Branch(f"{n} long dog " * 20_000, ())]))
        for n in range(5)
    ]
    await asyncio.to_thread(begun.wait, 30)
    await model.score([BRANCH])
    assert await whole(model, GenerateRequest("the dog", 3))
    assert sum("long" in texts[0] for _, texts in tokenizer.calls) == 1
    gate.set()
    await asyncio.gather(*long)
    model.close()


async def test_long_texts_take_turns(loaded: LoadedModel) -> None:
    """The second text's first step comes before the first text's last."""
    gate, begun = threading.Event(), threading.Event()

    def script(texts: Sequence[str]) -> None:
        if "long" in texts[0]:
            begun.set()
            assert gate.wait(30)

    tokenizer, model = scripted(loaded, script)
    model._tokenizer.context_tokens = 1 << 20

    def text(name: str) -> str:
        return " ".join(f"{name}{n} long dog" for n in range(8_000))

    long = [asyncio.ensure_future(model.score([Branch(text(name), ())])) for name in "ab"]
    await asyncio.to_thread(begun.wait, 30)
    gate.set()
    await asyncio.gather(*long)
    model.close()
    order = ["a" if re.search(r"a\d", pieces[0]) else "b" for _, pieces in tokenizer.calls]
    assert order[:4] == ["a", "b", "a", "b"]


async def test_what_nobody_waits_for_any_more_is_tokenized_no_further(loaded: LoadedModel) -> None:
    stuck, release = threading.Event(), threading.Event()

    def script(_: Sequence[str]) -> None:
        stuck.set()
        assert release.wait(30)

    tokenizer, model = scripted(loaded, script)
    model._tokenizer.context_tokens = 1 << 20
    left = asyncio.ensure_future(model.score([Branch("long dog " * 50_000, (" a",))]))
    await asyncio.to_thread(stuck.wait, 30)
    left.cancel()
    await asyncio.wait({left})
    release.set()
    await model.score([BRANCH])
    model.close()
    assert len(tokenizer.calls) == 2, "one step of what was left, and the other request"


async def test_a_deadline_that_passes_between_steps_ends_the_request(loaded: LoadedModel) -> None:
    deadline = time.monotonic() + 0.01

    def script(_: Sequence[str]) -> None:
        while time.monotonic() < deadline:
            pass

    tokenizer, model = scripted(loaded, script)
    model._tokenizer.context_tokens = 1 << 20
    with deadline_at(deadline), pytest.raises(DeadlinePassed):
        await model.score([Branch("long dog " * 50_000, (" a",))])
    model.close()
    assert len(tokenizer.calls) <= 1


async def test_what_is_being_tokenized_counts_as_waiting(loaded: LoadedModel) -> None:
    release = threading.Event()

    def script(_: Sequence[str]) -> None:
        assert release.wait(30)

    _, model = scripted(loaded, script, capacity=3)
    waiting = [asyncio.ensure_future(model.score([BRANCH])) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ModelBusy):
        await model.score([BRANCH])
    waiting.pop().cancel()
    await asyncio.sleep(0)
    waiting.append(asyncio.ensure_future(model.score([BRANCH])))
    release.set()
    assert len(await asyncio.gather(*waiting)) == 3
    model.close()


async def test_closing_refuses_what_is_still_tokenized(loaded: LoadedModel) -> None:
    stuck, release = threading.Event(), threading.Event()

    def script(_: Sequence[str]) -> None:
        stuck.set()
        assert release.wait(30)

    _, model = scripted(loaded, script)
    asked = asyncio.ensure_future(model.score([BRANCH]))
    await asyncio.to_thread(stuck.wait, 30)

    def release_once_closing() -> None:
        preparation = model._preparation
        with preparation._changed:
            assert preparation._changed.wait_for(lambda: preparation._closed, 30)
        release.set()

    await asyncio.gather(asyncio.to_thread(model.close), asyncio.to_thread(release_once_closing))
    with pytest.raises(ShuttingDown):
        await asked


async def test_a_text_too_long_never_reaches_the_model_and_the_next_goes_on(
    loaded: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the text, it is refused by its bytes or within the first steps."""
    tokenizer, model = scripted(loaded)
    texts = [
        "a" * 262_144,
        "dog " * 65_000,
        "犬" * 87_000,
        " " * 262_144,
        "secret" * 40_000,
        "🐶" * 65_000,
    ]
    with Passes(loaded) as passes:
        for text in texts:
            with pytest.raises(TextTooLong) as refused:
                await model.score(
                    [Branch("a", (" b", f" {text}x"), fields=("answer", "answer_before"))]
                )
            assert refused.value.field == "answer_before"
            assert "secret" not in str(refused.value)
            with pytest.raises(TextTooLong):
                await whole(model, GenerateRequest(text + "x", 3))
        assert passes.lengths == []
    await model.score([BRANCH])
    model.close()
    assert max(sum(map(len, asked)) for _, asked in tokenizer.calls) <= 300_000
    assert caplog.text == ""


async def test_a_request_may_not_ask_for_more_than_so_many_tokens(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each text fits; a hundred candidates over many facts together do not."""
    monkeypatch.setattr(work, "_LEAST_REQUEST_TOKENS", 500)
    model = TransformersModel(loaded, token_budget=8)
    candidates = tuple(f" the dog {n} likes" for n in range(100))
    fields = tuple(f"candidates[{n}]" for n in range(100))
    with Passes(loaded) as passes:
        with pytest.raises(RequestTooLarge) as refused:
            await model.score([Branch(f"fact {n}", candidates, fields=fields) for n in range(3)])
        assert passes.lengths == []
    assert refused.value.field.startswith("candidates[")
    assert refused.value.tokens > refused.value.limit == 64 * 8
    await model.score([BRANCH])
    model.close()


# What goes wrong


async def test_a_tokenizer_that_fails_fails_one_request_and_says_nothing_of_the_text(
    loaded: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    def script(texts: Sequence[str]) -> None:
        if "secret" in texts[0]:
            raise RuntimeError(f"cannot read {texts[0]}")

    _, model = scripted(loaded, script)
    with pytest.raises(Internal) as failed:
        await model.score([Branch("secret", (" a",))])
    await model.score([BRANCH])
    model.close()
    assert "secret" not in str(failed.value) + caplog.text
    assert "Traceback" not in caplog.text


async def test_a_failed_pass_fails_the_request_at_fault_only(
    loaded: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    model = TransformersModel(loaded)
    bad = loaded.tokenizer("犬犬").input_ids[-1]

    def broken(_: torch.nn.Module, __: object, kwargs: dict[str, torch.Tensor]) -> None:
        if bad in kwargs["input_ids"]:
            raise RuntimeError("index out of range near 犬")

    expected = await model.score([BRANCH])
    handle = loaded.model.register_forward_pre_hook(broken, with_kwargs=True)
    try:
        with Passes(loaded, block_first=True) as passes:
            first = await passes.holding(model)
            asked = [
                asyncio.ensure_future(model.score([b]))
                for b in (BRANCH, Branch("犬犬", (" a",)), BRANCH)
            ]
            await prepared(model, len(asked))
            passes.release.set()
            found = await asyncio.gather(*asked, return_exceptions=True)
            await first
    finally:
        handle.remove()
        model.close()
    assert isinstance(found[1], Internal)
    assert "犬" not in str(found[1]) + caplog.text
    assert "Traceback" not in caplog.text
    for scores in (found[0], found[2]):
        assert not isinstance(scores, BaseException)
        assert scores.logprobs[0][0].total == pytest.approx(expected.logprobs[0][0].total, abs=1e-4)


async def test_nothing_is_left_unretrieved(
    loaded: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """A caller who leaves while a request fails is told nothing, and nothing is logged."""
    release = threading.Event()

    def script(_: Sequence[str]) -> None:
        assert release.wait(30)

    _, model = scripted(loaded, script)
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    asked = asyncio.ensure_future(model.score([Branch("dog " * 5000, (" a",))]))
    await asyncio.sleep(0)
    asked.cancel()
    release.set()
    await asyncio.wait({asked})
    await model.score([BRANCH])
    model.close()
    del asked
    assert told == []
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("temperature", [1e-7, 1e-37, 1e-40, 1e-300, 5e-324])
async def test_a_temperature_near_zero_is_greedy(loaded: LoadedModel, temperature: float) -> None:
    model = TransformersModel(loaded)
    greedy = await whole(model, GenerateRequest("the dog", 8, stop=()))
    assert (
        await whole(model, GenerateRequest("the dog", 8, stop=(), temperature=temperature, seed=1))
        == greedy
    )
    model.close()


@pytest.mark.parametrize("temperature", [1e-6, 1e-3, 1.0, 2.0])
def test_a_draw_is_a_token_whatever_the_logits(temperature: float) -> None:
    draw = _Draw(GenerateRequest("a", 1, temperature=temperature, seed=1))
    for logits in (
        [1e4, -1e4, 0.0],
        [0.0, 0.0, 0.0],
        [-1e30, 1e30, 1.0],
        [float("-inf"), 0.0, 3.0],
    ):
        assert draw(torch.tensor(logits)) in range(3)
