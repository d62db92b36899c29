"""A run of the learning template's training on a tiny random model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from server.lm.loading import ModelChoice, load
from server.lm.template_adapter import FOLDER, TARGETS
from tests.lm.tiny_models import make_llama
from training.learning import LearningRecipe, train_learning


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def adapter(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter with the learning template's in it."""
    folder = tmp_path_factory.mktemp("adapter")
    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    base = AutoModelForCausalLM.from_pretrained(model)
    get_peft_model(base, config).save_pretrained(folder)
    recipe = LearningRecipe(examples=30, rank=2, batch_tokens=800)
    train_learning(model, folder, folder / FOLDER, recipe)
    return folder


def test_only_what_the_service_applies_is_changed(adapter: Path, model: Path) -> None:
    weights = load_file(adapter / FOLDER / "adapter_model.safetensors")
    assert {name.split(".")[-3] for name in weights} == set(TARGETS)
    assert any(tensor.abs().sum() > 0 for name, tensor in weights.items() if "lora_B" in name)
    assert str(model) not in (adapter / FOLDER / "adapter_config.json").read_text()


def test_the_service_reads_it_with_the_adapter_above(adapter: Path, model: Path) -> None:
    loaded = load(ModelChoice(str(model), str(adapter), device="cpu", number_format="float32"))
    assert loaded.learning is not None


def test_the_recipe_says_what_it_goes_on_top_of(adapter: Path) -> None:
    notes = json.loads((adapter / FOLDER / "recipe.json").read_text())
    assert (notes["examples"], notes["rank"]) == (30, 2)
    assert notes["steps"] > 1
    assert len(notes["on_top_of"]) == 16
