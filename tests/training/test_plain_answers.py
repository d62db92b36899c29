"""What the model says without facts, as the target of examples in which no fact answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.lm.tiny_models import make_llama
from training.examples import Example
from training.plain_answers import with_own_answers

RENT = "What's my rent?"
CITY = "Where do I live?"
ANSWERED = Example("reasoning", "prompt with a fact", " Berlin")
EXAMPLES = [
    Example("reasoning", "prompt about the rent", "", answered_plainly=RENT),
    ANSWERED,
    Example("reasoning", "another about the rent", "", answered_plainly=RENT),
    Example("reasoning", "prompt about the city", "", answered_plainly=CITY),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def base(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)


@pytest.fixture
def tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


def kept(folder: Path) -> dict[str, str]:
    (file,) = folder.glob("plain_answers-*.json")
    found: dict[str, str] = json.loads(file.read_text())
    return found


def greedy(model: Any, tokenizer: Any, query: str) -> str:
    given = tokenizer(query, return_tensors="pt")
    out = model.generate(**given, do_sample=False, max_new_tokens=14, pad_token_id=0)
    text: str = tokenizer.decode(out[0, given.input_ids.shape[1] :]).partition("<|end|>")[0]
    return text.strip().partition("\n")[0].strip()


def test_the_target_is_what_the_model_says_to_the_query_alone(
    base: Any, tokenizer: Any, tmp_path: Path
) -> None:
    found = with_own_answers(EXAMPLES, base, tokenizer, None, tmp_path)
    assert [example.prompt for example in found] == [example.prompt for example in EXAMPLES]
    assert not any(example.answered_plainly for example in found)
    assert found[0].target == found[2].target == f" {greedy(base, tokenizer, RENT)}"
    assert found[3].target == f" {greedy(base, tokenizer, CITY)}"
    assert found[1] == ANSWERED


def test_an_answer_that_was_cut_off_does_not_close(
    base: Any, tokenizer: Any, tmp_path: Path
) -> None:
    with_own_answers(EXAMPLES, base, tokenizer, None, tmp_path)
    (file,) = tmp_path.glob("plain_answers-base.json")
    file.write_text(json.dumps({RENT: "It is high.\n", CITY: "You live in a city that is"}))
    found = with_own_answers(EXAMPLES, base, tokenizer, None, tmp_path)
    assert (found[0].target, found[0].closes) == (" It is high.", True)
    assert (found[3].target, found[3].closes) == (" You live in a city that is", False)


def test_only_what_was_not_said_before_is_generated(
    base: Any, tokenizer: Any, tmp_path: Path
) -> None:
    with_own_answers(EXAMPLES[:1], base, tokenizer, None, tmp_path)
    assert set(kept(tmp_path)) == {RENT}
    (file,) = tmp_path.glob("plain_answers-base.json")
    file.write_text(json.dumps({RENT: "It is high.\n"}))
    found = with_own_answers(EXAMPLES, base, tokenizer, None, tmp_path)
    assert found[0].target == " It is high."
    assert set(kept(tmp_path)) == {RENT, CITY}


def test_an_example_to_which_the_model_says_nothing_is_left_out(
    base: Any, tokenizer: Any, tmp_path: Path
) -> None:
    with_own_answers(EXAMPLES, base, tokenizer, None, tmp_path)
    (file,) = tmp_path.glob("plain_answers-base.json")
    file.write_text(json.dumps({RENT: "\n", CITY: "Here"}))
    found = with_own_answers(EXAMPLES, base, tokenizer, None, tmp_path)
    assert [example.prompt for example in found] == ["prompt with a fact", "prompt about the city"]


def test_an_adapter_to_start_from_answers_with_its_own_words(
    base: Any, tokenizer: Any, folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(4)
    raw = AutoModelForCausalLM.from_pretrained(folder)
    adapted = get_peft_model(raw, LoraConfig(r=4, lora_alpha=64, target_modules=["v_proj"]))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    adapted.save_pretrained(tmp_path / "adapter")
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    of_base = with_own_answers(EXAMPLES, base, tokenizer, None, tmp_path / "kept")
    of_adapter = with_own_answers(EXAMPLES, base, tokenizer, tmp_path / "adapter", tmp_path / "own")
    assert [e.target for e in of_adapter] != [e.target for e in of_base]
    assert kept(tmp_path / "own") != kept(tmp_path / "kept")
    assert all(weight.equal(before[name]) for name, weight in base.state_dict().items())
