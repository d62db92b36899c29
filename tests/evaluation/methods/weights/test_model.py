"""A model whose weights can be changed, compared with transformers' own."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from evaluation.methods.weights.model import EditableModel, SubjectNotInPrompt
from server.errors import TextTooLong
from server.lm.loading import ModelChoice
from tests.lm.tiny_models import CONTEXT

PROMPT, TARGET = "Where the lazy dog is located:", "meat likes"


@pytest.fixture(scope="module")
def model(tiny: ModelChoice) -> EditableModel:
    return EditableModel(tiny)


def test_log_probabilities_are_those_of_a_plain_forward(
    model: EditableModel, tiny: ModelChoice
) -> None:
    plain = AutoModelForCausalLM.from_pretrained(tiny.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny.model)
    start = len(tokenizer(PROMPT).input_ids)
    ids = tokenizer(f"{PROMPT} {TARGET}", return_tensors="pt").input_ids
    with torch.no_grad():
        logprobs = plain(ids).logits[0].log_softmax(-1)
    expected = [logprobs[at - 1, ids[0, at]].item() for at in range(start, ids.shape[1])]
    (found,) = model.logprobs([(PROMPT, TARGET)])
    assert found.logprobs == pytest.approx(expected, abs=1e-5)
    greedy = [bool(logprobs[at - 1].argmax() == ids[0, at]) for at in range(start, ids.shape[1])]
    assert list(found.is_greedy) == greedy


def test_neighbours_in_a_batch_do_not_matter(model: EditableModel) -> None:
    pairs = [(PROMPT, "meat"), (PROMPT * 4, "brown fox"), ("dog", TARGET), (PROMPT * 30, "dog")]
    together = model.logprobs(pairs)
    for pair, found in zip(pairs, together, strict=True):
        (alone,) = model.logprobs([pair])
        assert found.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


def test_a_target_follows_a_space_whether_or_not_it_is_given_with_one(model: EditableModel) -> None:
    one, other = model.logprobs([(PROMPT, "dog"), (PROMPT, " dog")])
    assert one.logprobs == pytest.approx(other.logprobs, abs=1e-6)


def test_the_greedy_answer_is_what_is_likeliest(model: EditableModel) -> None:
    likeliest = model.logits(model.batch((PROMPT, "dog")))[0, 0].argmax()
    assert model.generate(PROMPT, tokens=1) == model.tokenizer.decode(likeliest).strip()


@pytest.mark.parametrize("before", ["", "The quick fox. "])
@pytest.mark.parametrize(
    ("prompt", "subject", "last"),
    [
        ("What the lazy dog likes", "lazy dog", " dog"),
        ("The dog", "dog", " dog"),
        ("The dog's kennel", "dog", " dog"),
    ],
)
def test_the_subjects_last_token_has_its_leading_space(
    model: EditableModel, before: str, prompt: str, subject: str, last: str
) -> None:
    at = model.subject_end(before, prompt, subject)
    whole = model.sequence(before + prompt, "x").tokens
    upto = model.tokenizer.decode(whole[: at + 1], skip_special_tokens=True)
    assert upto == before + prompt[: prompt.index(subject) + len(subject)]
    assert model.tokenizer.decode(whole[at]) == last


def test_a_subject_that_is_not_in_the_prompt_is_refused(model: EditableModel) -> None:
    with pytest.raises(SubjectNotInPrompt):
        model.subject_end("", "The dog likes", "cat")


def test_what_does_not_fit_the_context_is_refused(model: EditableModel) -> None:
    with pytest.raises(TextTooLong):
        model.logprobs([("dog " * CONTEXT, "meat")])
    with pytest.raises(TextTooLong):
        model.generate("dog " * CONTEXT)


def test_matrices_are_maps_whichever_way_they_are_stored(model: EditableModel) -> None:
    width = model.model.config.hidden_size
    down = model.down(1)
    neurons = down.map.shape[1]
    assert down.map.shape[0] == width and neurons > width
    assert all(matrix.map.shape == (neurons, width) for matrix in model.into(1))
    with model.restored([down]):
        down.map[0, 5] = 7.0
        key = torch.zeros(neurons)
        key[5] = 1.0
        bias = getattr(down.module, "bias", None)
        value = down.module(key) - (bias if bias is not None else 0)
        assert value[0].item() == pytest.approx(7.0)
    assert down.map[0, 5] != 7.0
