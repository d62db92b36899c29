"""The real model's port: packed scoring equals naive scoring, and generation stops in time."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from server.errors import TextTooLong
from server.lm.decoding import GrowingText
from server.lm.loading import LoadedModel
from server.lm.tokens import Tokenizer
from server.lm.transformers_model import TransformersModel
from server.tuning.ports import Branch, GenerateRequest, Key, LanguageModel, Scores
from server.tuning.templates import retrieval_prompt, root_prompt
from tests.conformance.language_model import LanguageModelConformance, assert_same, whole
from tests.lm.tiny_models import BEGIN


class TestTransformersModel(LanguageModelConformance):
    @pytest.fixture
    def language_model(self, model: TransformersModel) -> LanguageModel:
        return model


def naive(
    plain: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, continuation: str
) -> tuple[float, int]:
    """One text in a pass of transformers' own model. The packed result must equal this."""
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
        logprobs = plain(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
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
PROMPTS = st.one_of(texts, st.sampled_from(["", "To answer", "To answer the"]))
PASSES = pytest.mark.parametrize(
    ("token_budget", "block_tokens"), [(1, 64), (40, 3), (4096, 5), (4096, 64)]
)
OFTEN = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def scored(
    loaded: LoadedModel, token_budget: int, block_tokens: int, asked: list[Branch]
) -> Scores:
    """What a model whose passes are cut so says."""
    model = TransformersModel(loaded, token_budget=token_budget, block_tokens=block_tokens)
    try:
        return asyncio.run(model.score(asked))
    finally:
        model.close()


branches = st.lists(
    st.builds(
        Branch,
        PROMPTS,
        st.lists(continuations, min_size=1, max_size=4).map(tuple),
    ),
    min_size=1,
    max_size=6,
)


@PASSES
@OFTEN
@given(asked=branches)
def test_packed_equals_naive(
    loaded: LoadedModel,
    plain: PreTrainedModel,
    token_budget: int,
    block_tokens: int,
    asked: list[Branch],
) -> None:
    scores = scored(loaded, token_budget, block_tokens, asked)
    for branch, row in zip(asked, scores.logprobs, strict=True):
        for continuation, found in zip(branch.continuations, row, strict=True):
            total, tokens = naive(plain, loaded.tokenizer, branch.prompt, continuation)
            assert found.tokens == tokens
            assert found.total == pytest.approx(total, abs=1e-4)


# Keys


def naive_key(loaded: LoadedModel, model: Any, prompt: str) -> Key:
    """The state of one text in a pass of transformers' own model, centred and of length 1."""
    ids = loaded.tokenizer(prompt).input_ids or [Tokenizer(loaded.tokenizer, 9)._stand_in()]
    layers = model.model.layers if hasattr(model, "model") else model.transformer.h
    caught: list[torch.Tensor] = []
    hook = layers[loaded.keys.layer - 1].register_forward_hook(
        lambda _module, _given, out: caught.append(out[0] if isinstance(out, tuple) else out)
    )
    try:
        with torch.inference_mode():
            model(input_ids=torch.tensor([ids]))
    finally:
        hook.remove()
    state: Key = caught[0].reshape(len(ids), -1)[-1].numpy() - loaded.keys.centre
    return state / float(np.linalg.norm(state))


keyed_branches = st.lists(
    st.builds(
        Branch,
        PROMPTS,
        st.lists(continuations, max_size=3).map(tuple),
        keyed=st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@PASSES
@OFTEN
@given(asked=keyed_branches)
def test_a_key_is_the_same_however_the_pass_is_cut(
    loaded: LoadedModel,
    plain: PreTrainedModel,
    token_budget: int,
    block_tokens: int,
    asked: list[Branch],
) -> None:
    scores = scored(loaded, token_budget, block_tokens, asked)
    for branch, row, key in zip(asked, scores.logprobs, scores.keys, strict=True):
        assert (key is not None) == branch.keyed
        if key is not None:
            assert_same(key, naive_key(loaded, plain, branch.prompt))
        for continuation, found in zip(branch.continuations, row, strict=True):
            assert found.total == pytest.approx(
                naive(plain, loaded.tokenizer, branch.prompt, continuation)[0], abs=1e-4
            )


async def test_a_querys_key_costs_no_token_next_to_its_relations(loaded: LoadedModel) -> None:
    """Its prompt is the beginning of the relations'."""
    model = TransformersModel(loaded)
    relations = Branch(retrieval_prompt("What does a dog enjoy?", "dog"), (" likes", " has a"))
    key = Branch(root_prompt("What does a dog enjoy?"), (), keyed=True)
    without = (await model.score([relations])).cost
    assert (await model.score([relations, key])).cost == without
    model.close()


# What is read


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


def test_a_stop_text_longer_than_the_text_repeats_nothing(loaded: LoadedModel) -> None:
    tokens = loaded.tokenizer("yellow Saab", add_special_tokens=False).input_ids
    text = GrowingText(loaded.tokenizer, ("a stop text that never comes",))
    pieces = [text.feed(token) for token in tokens]
    assert "".join([*pieces, text.rest()]) == "yellow Saab"
    text = GrowingText(loaded.tokenizer, ("longest",))
    pieces = [text.feed(token) for token in tokens]
    assert "".join([*pieces, text.rest()]) == "yellow Saab"


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
    """They join and leave between tokens, their lengths differ, and scoring comes in between."""
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
    loaded: LoadedModel, plain: PreTrainedModel
) -> None:
    model = TransformersModel(loaded, token_budget=16)
    prompt = "To answer the query: What does a dog enjoy?, I need information dog"
    text = await whole(model, GenerateRequest(prompt, 12, stop=()))
    model.close()
    tokens = Tokenizer(loaded.tokenizer, loaded.context_tokens).prompt(prompt)
    start = len(tokens)
    with torch.inference_mode():
        for _ in range(12):
            tokens.append(int(plain(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
            if tokens[-1] == loaded.tokenizer.eos_token_id:
                break
    assert text == loaded.tokenizer.decode(tokens[start:], skip_special_tokens=True)
