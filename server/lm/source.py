"""Where a model's files are: the default model, a folder, a GGUF file, or a hub id."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig

from server.errors import ModelUnusable, StartupError
from server.files import file_digest
from server.lm.conversion import CacheUnwritable, converted, intact
from server.lm.folders import DEFAULT_MODEL, default_model_folder
from server.lm.progress import Progress
from server.lm.whole import (
    ADAPTER_CONFIG,
    first_line,
    require_json,
    require_whole_weights,
    unusable,
)

_GGUF = ".gguf"
_TAKES = "KGT_MODEL takes a Hugging Face folder, hub id or .gguf file"

_log = logging.getLogger("kgt")


@dataclass(frozen=True, slots=True)
class Source:
    """What transformers loads from: a folder or a hub id.

    `gguf` is a file in the folder `place` that could not be converted, and is loaded as it is.
    """

    place: str
    gguf: Path | None = None

    @property
    def folder(self) -> Path | None:
        """The model's own folder with weights; None for a hub id and a GGUF file."""
        return Path(self.place) if self.gguf is None and Path(self.place).is_dir() else None

    @property
    def options(self) -> dict[str, Any]:
        """What transformers' `from_pretrained` needs besides the place."""
        return {"gguf_file": self.gguf.name} if self.gguf is not None else {}

    def fingerprint(self, config: PreTrainedConfig) -> str:
        """A hash of the model's files; of a model from the hub, of its name and commit."""
        if self.gguf is not None:
            return digest_files([self.gguf])
        if self.folder is None:
            named = f"{self.place}@{getattr(config, '_commit_hash', '')}"
            return hashlib.sha256(named.encode()).hexdigest()[:16]
        kinds = ("config.json", "tokenizer*", "*.safetensors", "*.bin", "*.index.json")
        found = {path for kind in kinds for path in self.folder.glob(kind) if path.is_file()}
        return digest_files(path for path in found if not path.name.startswith("adapter_"))


def find_source(model: str, cache: Path, number_format: torch.dtype, progress: Progress) -> Source:
    """Where `model` is; a GGUF file is converted first. Raises ModelUnusable.

    `number_format` is what a GGUF file is converted into.
    """
    if model == DEFAULT_MODEL:
        return _default_model(default_model_folder(cache))
    path = Path(model).expanduser()
    if path.suffix.lower() == _GGUF or path.is_file():
        return _from_gguf(path, cache, number_format, progress)
    if path.is_dir():
        _require_model_folder(path)
        return Source(str(path))
    if model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise ModelUnusable(f"there is no folder {path}; {_TAKES}")
    return Source(model)


def digest_files(paths: Iterable[Path]) -> str:
    """A hash of files: their names and their whole content."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.name}:{file_digest(path)};".encode())
    return digest.hexdigest()[:16]


def _default_model(folder: Path) -> Source:
    if not (folder / "config.json").exists():
        raise ModelUnusable(
            f"the default model is not in {folder}; fetch it once with `python -m server.lm.fetch`"
        )
    try:
        require_whole_weights(folder)
        if not intact(folder):
            raise unusable(folder, "is not whole")
    except ModelUnusable as error:
        wrong = str(error).rpartition("; ")[0]
        raise ModelUnusable(
            f"{wrong}; delete {folder} and run `python -m server.lm.fetch`"
        ) from error
    return Source(str(folder))


def _from_gguf(path: Path, cache: Path, number_format: torch.dtype, progress: Progress) -> Source:
    if path.is_dir():
        raise unusable(path, "is a folder, where a GGUF file is expected", "name the file in it")
    if not path.exists():
        raise ModelUnusable(f"there is no file {path}; {_TAKES}")
    try:
        return Source(str(converted(path, cache, number_format, progress)))
    except CacheUnwritable as error:
        _log.warning(
            "%s; %s is converted at every start. KGT_CACHE names another folder", error, path.name
        )
        return Source(str(path.parent), path)
    except StartupError:
        raise
    except Exception as error:
        wrong = f"cannot be converted into {cache}: {first_line(error)}"
        raise unusable(
            path, wrong, "make sure that the disk has room; KGT_CACHE names another folder"
        ) from error


def _require_model_folder(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        if (folder / ADAPTER_CONFIG).is_file():
            raise ModelUnusable(
                f"{folder} holds an adapter and no model; set KGT_MODEL to the adapter's base model"
                " and KGT_ADAPTER to this folder"
            )
        raise ModelUnusable(f"{folder} holds no config.json: it is not a model folder")
    if "model_type" not in require_json(config):
        raise unusable(config, "says no model_type: it is not a model's configuration")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (path := folder / name).exists() or path.is_symlink():
            require_json(path)
