"""Where models are kept on this machine.

Settings need this before torch is loaded, so it imports nothing heavy.
"""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_MODEL = "smollm2"
_DEFAULT_FOLDER = "SmolLM2-135M-Instruct-Q4_1"


def cache_folder() -> Path:
    """The folder for fetched and converted files: KGT_CACHE, else the user's cache folder."""
    if given := os.environ.get("KGT_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "kgt"


def models_folder(cache: Path) -> Path:
    """The folder of converted models, which has a folder for each."""
    return cache / "models"


def default_model_folder(cache: Path) -> Path:
    """The folder of the converted default model."""
    return models_folder(cache) / _DEFAULT_FOLDER
