from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

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


@pytest.fixture(scope="session", params=["llama", "gpt2"])
def loaded(request: pytest.FixtureRequest) -> LoadedModel:
    folder: Path = request.getfixturevalue(f"{request.param}_folder")
    return load(ModelChoice(str(folder), "none", device="cpu", number_format="float32"))


@pytest.fixture
def model(loaded: LoadedModel) -> Iterator[TransformersModel]:
    model = TransformersModel(loaded, queue_capacity=4, token_budget=64)
    yield model
    model.close()
