"""Tiny models of both shapes, and the model that ships."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from server.lm.folders import cache_folder, default_model_folder
from server.lm.loading import ModelChoice
from tests.lm.tiny_models import make_gpt2, make_llama


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> ModelChoice:
    return _choice(make_llama(tmp_path_factory.mktemp("llama"), layers=4))


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> ModelChoice:
    return _choice(make_gpt2(tmp_path_factory.mktemp("gpt2")))


@pytest.fixture(scope="session", params=["llama", "gpt2"])
def tiny(request: pytest.FixtureRequest) -> ModelChoice:
    """A model of random weights: the head is apart in the Llama, tied in the GPT-2."""
    choice: ModelChoice = request.getfixturevalue(request.param)
    return choice


@pytest.fixture(scope="session")
def shipped() -> ModelChoice:
    folder = default_model_folder(cache_folder())
    if not (folder / "config.json").exists():
        pytest.skip("the default model is not here; fetch it with `python -m server.lm.fetch`")
    return _choice(folder)


def _choice(folder: Path) -> ModelChoice:
    return ModelChoice(str(folder), adapter="none", device="cpu")
