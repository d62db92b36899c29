from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedModel

from server.lm.loading import LoadedModel, ModelChoice, load
from server.lm.transformers_model import TransformersModel
from tests.lm.tiny_models import make_gpt2, make_llama


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """These models are so small that threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gpt2(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture
def folder(llama_folder: Path, tmp_path: Path) -> Path:
    """A copy of the Llama-style model, which a test may damage."""
    return shutil.copytree(llama_folder, tmp_path / "model")


@pytest.fixture
def adapter(llama_folder: Path, tmp_path: Path) -> Path:
    """An adapter of the Llama-style model, with random weights and no rule for keys."""
    torch.manual_seed(5)
    config = LoraConfig(
        r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
    )
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(llama_folder), config)
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for models that a test does not load with one of its own."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def no_cache_of_the_users(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGT_CACHE", str(session_cache))


@pytest.fixture(scope="session", params=["llama", "gpt2"])
def family_folder(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(f"{request.param}_folder")
    return folder


@pytest.fixture(scope="session")
def loaded(family_folder: Path, session_cache: Path) -> LoadedModel:
    choice = ModelChoice(
        str(family_folder), "none", session_cache, device="cpu", number_format="float32"
    )
    return load(choice)


@pytest.fixture(scope="session")
def plain(family_folder: Path) -> PreTrainedModel:
    """The same weights in transformers' own model, which this service has not touched."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(family_folder)
    return model.eval()


@pytest.fixture
def model(loaded: LoadedModel) -> Iterator[TransformersModel]:
    model = TransformersModel(loaded, queue_capacity=4, token_budget=64)
    yield model
    model.close()
