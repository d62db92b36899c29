"""Who shared a forward pass, and who waited for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from server.lm.loading import LoadedModel, ModelChoice, load
from server.lm.transformers_model import TransformersModel
from server.tuning.ports import Branch, GenerateRequest
from server.tuning.watching import call_watch
from tests.conformance.language_model import whole
from tests.lm.passes import Passes, prepared
from tests.lm.tiny_models import make_llama
from tests.telemetry.seeing import Seen, attributes_of, context_of

QUESTION = [Branch("the quick brown fox", (" jumps over", " likes"))]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp("llama")
    choice = ModelChoice(
        str(make_llama(folder / "model")), "none", folder, "cpu", "float32", threads=1
    )
    return load(choice)


@pytest.fixture
def model(loaded: LoadedModel, seen: Seen) -> Iterator[TransformersModel]:
    model = TransformersModel(loaded, sight=seen.sight)
    yield model
    model.close()


async def asked(seen: Seen, model: TransformersModel, rpc: str) -> None:
    """A call that puts one question to the model."""
    watch = seen.sight.call(rpc, ())
    call_watch.set(watch)
    await model.score(QUESTION)
    watch.ended("OK")


def linked(span: ReadableSpan) -> set[int]:
    return {link.context.span_id for link in span.links}


async def test_a_shared_pass_is_linked_with_all_who_shared_it_and_with_who_waited_for_it(
    loaded: LoadedModel, model: TransformersModel, seen: Seen
) -> None:
    with Passes(loaded, block_first=True) as passes:
        first = asyncio.create_task(asked(seen, model, "First"))
        await asyncio.to_thread(passes.started.wait, 30)
        others = [asyncio.create_task(asked(seen, model, rpc)) for rpc in ("Second", "Third")]
        await prepared(model, 2)
        assert seen.value("kgt_model_queue_depth") == 2
        passes.release.set()
        await asyncio.gather(first, *others)
    alone, shared = seen.named("forward pass")
    by_call = {seen.path(span)[0].rpartition("/")[2]: span for span in seen.named("model score")}
    assert linked(alone) == {context_of(by_call["First"]).span_id}
    assert linked(shared) == {context_of(by_call[rpc]).span_id for rpc in ("Second", "Third")}
    assert attributes_of(shared)["kgt.pass.requests"] == 2
    own = [attributes_of(link)["kgt.pass.own_tokens"] for link in shared.links]
    assert sum(own) == attributes_of(shared)["kgt.pass.tokens"]
    for rpc in ("Second", "Third"):
        assert linked(by_call[rpc]) == {context_of(shared).span_id}
    waits = {seen.path(span)[0].rpartition("/")[2]: span for span in seen.named("queue")}
    assert linked(waits["First"]) == set()
    assert linked(waits["Second"]) == linked(waits["Third"]) == {context_of(alone).span_id}


async def test_passes_and_waits_are_measured(model: TransformersModel, seen: Seen) -> None:
    await asked(seen, model, "First")
    assert seen.value("kgt_model_queue_wait_seconds_count", {"kind": "score"}) == 1
    assert seen.value("kgt_model_pass_requests_sum") == 1
    read = attributes_of(seen.one("model score"))["kgt.tokens_read"]
    assert seen.value("kgt_model_pass_tokens_sum") == read
    assert seen.value("kgt_model_pass_duration_seconds_count") == 1
    assert seen.value("kgt_model_queue_depth") == 0
    assert seen.value("kgt_model_token_budget_tokens") is None, "a unit in braces is not a suffix"
    assert seen.value("kgt_model_token_budget") == model.token_budget


async def test_a_generation_has_one_span_for_all_its_passes(
    model: TransformersModel, seen: Seen
) -> None:
    watch = seen.sight.call("Answer", ())
    call_watch.set(watch)
    await whole(model, GenerateRequest("the dog", 4, stop=()))
    watch.ended("OK")
    span = seen.one("model generate")
    assert len(span.links) == len(seen.named("forward pass")) > 1


async def test_what_belongs_to_no_call_has_a_pass_but_no_trace(
    model: TransformersModel, seen: Seen
) -> None:
    await model.score(QUESTION)
    assert seen.spans == ()
    assert seen.value("kgt_model_pass_duration_seconds_count") == 1


async def test_a_pass_that_fails_names_the_kind_of_error_only(
    loaded: LoadedModel, model: TransformersModel, seen: Seen
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("the quick brown fox")

    with loaded.model.register_forward_pre_hook(broken), pytest.raises(Exception, match="failed"):
        await asked(seen, model, "First")
    span = seen.one("forward pass")
    assert attributes_of(span)["error.type"] == "ValueError"
    assert not any("fox" in each.to_json() for each in seen.spans)
