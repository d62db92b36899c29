"""A whole training run on a tiny random model: what it writes, and what starts from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from server.lm.adapters import adapter_folder, merged
from server.lm.keys import ADAPTER_KEYS, key_rule
from server.lm.progress import Progress
from tests.lm.tiny_models import make_llama
from training.alike import Meaning
from training.examples import Example
from training.train import Material, Recipe, train

RECIPE = Recipe(
    rank=2, batch_tokens=200, key_texts=4, key_layer=1, base_texts_per_step=1, base_text_tokens=8
)
EXAMPLES = [
    Example(
        "retrieval", f"To answer the query: {n}?, I need information dog", " likes", closes=False
    )
    for n in range(20)
]
UNKNOWN = Example("reasoning", "What? <facts>: a dog <answer>:", "", answered_plainly="What?")


def alike() -> Iterator[list[Meaning]]:
    while True:
        yield [Meaning(("dog likes", "dog enjoys")), Meaning(("fox jumps", "fox leaps"))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def trained(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    material = Material([*EXAMPLES, UNKNOWN], alike())
    train(material, model, folder / "adapter", RECIPE, folder / "texts.safetensors")
    return folder / "adapter"


def test_the_service_reads_the_adapter_and_its_rule(
    trained: Path, model: Path, tmp_path: Path
) -> None:
    assert adapter_folder(str(trained), "any") == trained
    whole = merged(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), trained)
    tokenizer = AutoTokenizer.from_pretrained(model)
    rule = key_rule(whole, tokenizer, "fingerprint", trained, tmp_path, Progress())
    assert (rule.layer, rule.centre.shape) == (1, (48,))
    assert not list(tmp_path.iterdir()), "nothing had to be found out"


def test_an_adapter_is_stored_in_bfloat16_and_names_no_folder(trained: Path, model: Path) -> None:
    weights = load_file(trained / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert any(tensor.abs().sum() > 0 for name, tensor in weights.items() if "lora_B" in name)
    assert str(model) not in (trained / "adapter_config.json").read_text()


def test_the_recipe_is_written_next_to_the_weights(trained: Path) -> None:
    notes = json.loads((trained / "recipe.json").read_text())
    assert (notes["rank"], notes["key_layer"], notes["started_from"]) == (2, 1, "")
    assert notes["steps"] > 1
    assert notes["tokens"] > 10 * len(EXAMPLES)


def test_training_goes_on_from_an_adapter(trained: Path, model: Path, tmp_path: Path) -> None:
    material = Material(EXAMPLES, alike())
    train(material, model, tmp_path / "next", RECIPE, tmp_path / "texts.safetensors", trained)
    notes = json.loads((tmp_path / "next" / "recipe.json").read_text())
    assert notes["started_from"]
    assert (tmp_path / "next" / ADAPTER_KEYS).is_file()
    before = load_file(trained / "adapter_model.safetensors")
    after = load_file(tmp_path / "next" / "adapter_model.safetensors")
    assert before.keys() == after.keys()
    assert any(not after[name].equal(tensor) for name, tensor in before.items())
