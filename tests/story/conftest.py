from pathlib import Path

import pytest

from server.lm.folders import cache_folder, default_model_folder


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The folder of the default model."""
    folder = default_model_folder(cache_folder())
    if not (folder / "config.json").exists():
        pytest.skip("the default model is not here; fetch it with `python -m server.lm.fetch`")
    return folder
