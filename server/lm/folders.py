"""Where models are kept on this machine. Imports nothing heavy: settings need it before torch is
loaded."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_MODEL = "smollm2"
_DEFAULT_FOLDER = "SmolLM2-135M-Instruct-Q4_1"


def cache_folder() -> Path:
    """Where fetched and converted files are kept unless KGT_CACHE says otherwise."""
    if given := os.environ.get("KGT_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "kgt"


def models_folder(cache: Path) -> Path:
    """Where converted models are, a folder each."""
    return cache / "models"


def default_model_folder(cache: Path) -> Path:
    """The folder of the converted default model."""
    return models_folder(cache) / _DEFAULT_FOLDER
