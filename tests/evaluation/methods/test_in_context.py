from __future__ import annotations

import pytest

from evaluation.methods.in_context import NEAREST, InContext, NearestCases
from evaluation.methods.method import EditCase
from evaluation.methods.setting import EvalModel


def case(number: int, answer: str = "meat") -> EditCase:
    prompt = f"What dog number {number} likes is"
    return EditCase(str(number), f"dog number {number}", prompt, answer, "grass")


def test_all_feedback_stands_in_the_prompt_the_newest_last(eval_model: EvalModel) -> None:
    method, prompt = InContext("in-context", eval_model.plain), "What a cat likes is"
    assert method.logprob(prompt, "fish") == eval_model.plain.logprob(prompt, "fish")
    for number in (1, 2):
        method.edit(case(number))
    text = "What dog number 1 likes is meat.\nWhat dog number 2 likes is meat.\n"
    whole = eval_model.plain.logprob(f"{text}{prompt}", "fish")
    assert method.logprob(prompt, "fish").logprobs == pytest.approx(whole.logprobs, abs=1e-4)
    assert method.generate(prompt) == eval_model.plain.generate(f"{text}{prompt}")


def test_the_newest_feedback_is_kept_where_all_of_it_no_longer_fits(eval_model: EvalModel) -> None:
    method, sentence = (
        InContext("in-context", eval_model.plain),
        "What dog number 0 likes is meat.\n",
    )
    fit = int(0.75 * 1024) // eval_model.plain.count(sentence)
    for number in range(fit + 20):
        method.edit(case(number))
    newest = InContext("in-context", eval_model.plain)
    newest.edit(case(fit + 19))
    prompt = case(fit + 19).prompt
    assert method.logprob(prompt, "meat").total != pytest.approx(
        newest.logprob(prompt, "meat").total
    ), "more than the newest one is there"
    assert method.logprob(prompt, "meat").logprobs, "and the model can hold it"


def test_the_nearest_cases_stand_in_the_prompt_the_nearest_last(eval_model: EvalModel) -> None:
    method = NearestCases("nearest cases", eval_model.plain)
    for number in range(NEAREST + 3):
        method.edit(case(number, f"answer {number}"))
    asked = case(4)
    states = {n: eval_model.plain.state(case(n).prompt) for n in range(NEAREST + 3)}
    near = sorted(states, key=lambda n: float(states[n] @ states[4]))[-NEAREST:]
    assert near[-1] == 4, "nothing is nearer to a query than itself"
    text = "".join(f"{case(n).prompt} answer {n}.\n" for n in near)
    whole = eval_model.plain.logprob(f"{text}{asked.prompt}", "answer 4")
    found = method.logprob(asked.prompt, "answer 4")
    assert found.logprobs == pytest.approx(whole.logprobs, abs=1e-4)
