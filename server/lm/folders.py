"""Where models are kept on this machine.

Settings need this before torch is loaded, so it imports nothing heavy.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_MODEL = "smollm2"
_DEFAULT_FOLDER = "SmolLM2-135M-Instruct-Q4_1"


def xdg_cache_folder() -> Path:
    """The service's folder among the user's caches, by the XDG base directories."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "kgt"


class CacheSettings(BaseSettings):
    """The setting that the server shares with the fetcher; `server.settings` adds the others."""

    model_config = SettingsConfigDict(
        env_prefix="KGT_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    cache: Path = Field(
        default_factory=xdg_cache_folder,
        validate_default=True,
        description="folder of fetched and converted models",
    )

    @field_validator("cache")
    @classmethod
    def _expand_cache(cls, value: Path) -> Path:
        return value.expanduser()


def cache_folder() -> Path:
    """Where fetched and converted files are kept."""
    return CacheSettings().cache


def models_folder(cache: Path) -> Path:
    """Where converted models are kept, one folder for each."""
    return cache / "models"


def keys_folder(cache: Path) -> Path:
    """Where the rules for reading keys are kept that were found for models, one file for each."""
    return cache / "keys"


def default_model_folder(cache: Path) -> Path:
    """The folder of the converted default model."""
    return models_folder(cache) / _DEFAULT_FOLDER
