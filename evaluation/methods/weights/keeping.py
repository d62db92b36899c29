"""What a method learns once for a model, kept in files for other methods and for later runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

_SECONDS = "seconds"

Tensors = dict[str, torch.Tensor]


class Keeping:
    """Tensors in the files of a folder; without a folder, nothing is kept.

    `spared_s` is how long it once took to make what was found in files. A fit that found everything
    is reported with that time, because the method needs it.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.spared_s = 0.0

    def tensors(self, name: str, make: Callable[[], Tensors]) -> Tensors:
        """The tensors of this name, on the CPU: from their file, or made and kept."""
        if self._folder is None:
            return make()
        path = self._folder / f"{name}.safetensors"
        if path.exists():
            return self._read(path)
        started, spared_s = time.perf_counter(), self.spared_s
        made = {key: tensor.cpu().contiguous() for key, tensor in make().items()}
        seconds = time.perf_counter() - started + self.spared_s - spared_s
        write_whole(path, made, {_SECONDS: f"{seconds:.1f}"})
        return made

    def _read(self, path: Path) -> Tensors:
        with safe_open(path, "pt") as file:
            self.spared_s += float((file.metadata() or {}).get(_SECONDS, 0))
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def write_whole(path: Path, tensors: Tensors, told: dict[str, str] | None = None) -> None:
    """Write a file of tensors, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f"{path.name}.building")
    save_file(tensors, building, told)
    building.replace(path)
