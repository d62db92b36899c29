"""Model folders to be damaged and loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from server.errors import ModelUnusable
from server.lm.folders import cache_folder
from server.lm.loading import LoadedModel, ModelChoice, load

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 269060552\n"
IDS = torch.tensor([[5, 6, 7, 8]])


def loaded_from(folder: Path, adapter: str = "none", cache: Path | None = None) -> LoadedModel:
    """The model in `folder`, on the processor in float32."""
    cache = cache or cache_folder()
    return load(ModelChoice(str(folder), adapter, cache, device="cpu", number_format="float32"))


def refused(folder: Path, adapter: str = "none", cache: Path | None = None) -> str:
    """The one line that says why the model is not loaded."""
    with pytest.raises(ModelUnusable) as error:
        loaded_from(folder, adapter, cache)
    message = str(error.value)
    assert "\n" not in message
    return message


def logits(loaded: LoadedModel) -> torch.Tensor:
    """What a loaded model says to a few tokens."""
    with torch.inference_mode():
        found: torch.Tensor = loaded.model(IDS).logits
    return found


def rewrite(
    folder: Path,
    change: Callable[[dict[str, torch.Tensor]], object],
    name: str = "model.safetensors",
) -> None:
    """Change the weights in a file."""
    weights = load_file(folder / name)
    change(weights)
    save_file(weights, folder / name, metadata={"format": "pt"})


def configure(folder: Path, **changes: object) -> None:
    """Change entries of the model's configuration."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
