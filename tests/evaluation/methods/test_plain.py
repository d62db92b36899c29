from __future__ import annotations

import math

import pytest
import torch

from evaluation.methods.plain import ANSWER_TOKENS
from evaluation.methods.setting import EvalModel
from server.errors import TextTooLong
from server.tuning.ports import Branch

PROMPT, TARGET = "Answer the query: What does a dog enjoy?", "meat and bones"


async def test_a_target_costs_what_the_service_says(eval_model: EvalModel) -> None:
    found = eval_model.plain.logprob(PROMPT, TARGET)
    scores = await eval_model.service.score([Branch(PROMPT, (f" {TARGET}",))])
    ((known,),) = scores.logprobs
    assert len(found.logprobs) == known.tokens
    assert found.total == pytest.approx(known.total, abs=1e-3)
    assert found.mean_nll == pytest.approx(-known.total / known.tokens, abs=1e-3)


def test_prompts_of_different_lengths_do_not_disturb_each_other(eval_model: EvalModel) -> None:
    prompts = [PROMPT, f"{PROMPT} {PROMPT}", "dog"]
    together = eval_model.plain.predicted(prompts, TARGET).of_target
    for row, prompt in zip(together, prompts, strict=True):
        assert row.tolist() == pytest.approx(
            eval_model.plain.logprob(prompt, TARGET).logprobs, abs=1e-4
        )


def test_what_a_prefix_says_is_read_as_if_it_stood_in_the_prompt(eval_model: EvalModel) -> None:
    plain, before = eval_model.plain, "the quick brown fox jumps over the lazy dog\n"
    prefix = plain.prefix(before)
    for prompt in (PROMPT, "dog", PROMPT):  # what one asks is not left for the next
        whole = plain.logprob(f"{before}{prompt}", TARGET)
        assert plain.logprob(prompt, TARGET, prefix).logprobs == pytest.approx(
            whole.logprobs, abs=1e-4
        )
        assert plain.generate(prompt, prefix) == plain.generate(f"{before}{prompt}")


def test_the_greedy_answer_is_the_likeliest_token_after_token(eval_model: EvalModel) -> None:
    plain = eval_model.plain
    model, tokenizer = eval_model.loaded.model, eval_model.loaded.tokenizer
    ids = tokenizer(PROMPT).input_ids
    for _ in range(ANSWER_TOKENS):
        with torch.inference_mode():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    text = tokenizer.decode(ids[len(tokenizer(PROMPT).input_ids) :], skip_special_tokens=True)
    lines = text.strip().splitlines() or [""]
    assert plain.generate(PROMPT) == lines[0].strip()


def test_the_likeliest_token_is_marked(eval_model: EvalModel) -> None:
    predicted = eval_model.plain.predicted([PROMPT], TARGET)
    found = eval_model.plain.logprob(PROMPT, TARGET)
    likeliest = predicted.logprobs[0].max(-1).values.tolist()
    for own, best, greedy in zip(found.logprobs, likeliest, found.is_greedy, strict=True):
        assert greedy == math.isclose(own, best, abs_tol=1e-6)


def test_a_prompt_that_the_model_cannot_hold_is_refused(eval_model: EvalModel) -> None:
    with pytest.raises(TextTooLong):
        eval_model.plain.logprob("dog " * 2_000, TARGET)
    with pytest.raises(TextTooLong):
        eval_model.plain.generate("dog " * 2_000)
