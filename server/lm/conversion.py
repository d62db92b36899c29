"""Converts GGUF files into folders that load fast: once, completely or not at all.

De-quantising a file and its tokenizer takes minutes; loading the result takes seconds. The default
model and a user's own file are treated alike, and the folders are kept in the cache.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from server.errors import ModelUnusable
from server.files import file_digest
from server.lm.folders import models_folder
from server.lm.progress import Progress, counting_tensors
from server.lm.whole import named_few, require_gguf

if TYPE_CHECKING:
    import torch

_SCRATCH = ".making-"
_MANIFEST = "converted.json"
"""Lists the sizes of a converted folder's files, so that a cut one is noticed."""


class CacheUnwritable(Exception):
    """The cache is in a place that this process may not write to."""


def converted(gguf: Path, cache: Path, number_format: torch.dtype, progress: Progress) -> Path:
    """The folder that `gguf` was converted into; converts it now if the cache does not have it.

    The folder is named after the file's content, so a file that was moved is recognised, and one
    that was changed is converted again. Raises ModelUnusable, and CacheUnwritable if nothing can be
    kept.
    """
    require_gguf(gguf)
    with progress.step(f"reading {gguf.name}"):
        digest = file_digest(gguf)
    name = re.sub(r"[^\w.-]+", "-", gguf.stem)[:60]
    format_name = str(number_format).removeprefix("torch.")
    folder = models_folder(cache) / f"{name}-{digest[:16]}-{format_name}"
    return kept(folder, lambda _, made: convert(gguf, made, number_format, progress))


def convert(gguf: Path, folder: Path, number_format: torch.dtype, progress: Progress) -> None:
    """De-quantise a GGUF file into `folder`, in the number format that it will be loaded in.

    Raises ModelUnusable.
    """
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as work:
        # Under a name that transformers recognises, and away from other files next to it
        alias = Path(work) / "model.gguf"
        alias.symlink_to(gguf.resolve())
        with progress.step(f"converting {gguf.name}, once"), counting_tensors(progress):
            _save_model(alias, gguf, folder, number_format)
        with progress.step(f"converting the tokenizer of {gguf.name}"):
            AutoTokenizer.from_pretrained(work, gguf_file=alias.name).save_pretrained(folder)
    note_whole(folder)


def note_whole(folder: Path) -> None:
    """Note in a folder that is complete what its files' sizes are; `intact` compares them."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    (folder / _MANIFEST).write_text(json.dumps(sizes, indent=1, sort_keys=True))


def _save_model(alias: Path, gguf: Path, folder: Path, number_format: torch.dtype) -> None:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    quantised, report = AutoModelForCausalLM.from_pretrained(
        alias.parent, gguf_file=alias.name, dtype=torch.float32, output_loading_info=True
    )
    if missing := report["missing_keys"]:
        raise ModelUnusable(
            f"{gguf}: lacks weights ({named_few(missing)}); copy or download it again"
        )
    config = quantised.config
    if hasattr(config, "quantization_config"):
        # A model loaded from GGUF refuses to be saved; a fresh one with its weights does not
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(quantised.state_dict())
    plain.to(number_format).save_pretrained(folder)


def kept(folder: Path, make: Callable[[Path, Path], None]) -> Path:
    """`folder`, which `make(scratch folder, folder to fill)` makes if it is missing or not whole.

    The filled folder is renamed at the end, so an interruption leaves either all of it or nothing.
    Of two processes that make it at once, the first one's is kept. What a killed process left is
    removed by the next one.
    """
    if intact(folder):
        return folder
    with _scratch(folder.parent) as work:
        made = work / "made"
        make(work, made)
        _open_as_written(made)
        try:
            made.rename(folder)
        except OSError:
            if not intact(folder):  # else another process was faster
                folder.rename(work / "damaged")
                made.rename(folder)
    return folder


def intact(folder: Path) -> bool:
    """Whether a converted folder is whole, judging by its files' sizes."""
    if not (folder / _MANIFEST).exists():  # converted by a version without manifests
        return (folder / "config.json").is_file()
    try:
        sizes = json.loads((folder / _MANIFEST).read_text())
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


@contextlib.contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    """A folder in `parent` for this process only, removed at the end. Raises CacheUnwritable."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with _locked(parent):
            _remove_left_over(parent)
            work = Path(tempfile.mkdtemp(dir=parent, prefix=_SCRATCH))
            held = _lock(work)
    except PermissionError as error:
        raise CacheUnwritable(f"{parent} cannot be written: {error.strerror}") from error
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        raise CacheUnwritable(f"{parent} cannot be written: {error.strerror}") from error
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(held)


def _remove_left_over(parent: Path) -> None:
    """Remove the scratch folders of processes that are gone, whose locks are free."""
    for path in parent.glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):
            held = _lock(path, fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
            os.close(held)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    held = _lock(folder)
    try:
        yield
    finally:
        os.close(held)


def _lock(folder: Path, how: int = 0) -> int:
    """A lock on a folder, held until the descriptor is closed or the process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _open_as_written(folder: Path) -> None:
    """Give the weights the access of any file that this process writes.

    safetensors writes files that only their owner may read.
    """
    written = folder / _SCRATCH
    written.touch()
    usual = written.stat().st_mode
    written.unlink()
    for file in folder.iterdir():
        file.chmod(usual)
