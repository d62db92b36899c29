"""The folder next to the base in which a load works, and the room that it needs."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from kgload.errors import DiskFull, LoadError

SCRATCH = ".loading"
_WORKSPACE_SHARE = 0.12
"""What the workspace takes of the size of a dump's text (seen: 0.1)."""
_BASE_SHARE = 0.25


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """The folder in which a load into `folder` works; one load at a time.

    It stays when a load is cut off. Raises LoadError where another load is under way, or nothing
    can be written.
    """
    scratch = folder / SCRATCH
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        lock = (scratch / "lock").open("w")
    except OSError as error:
        raise LoadError(
            f"--data {folder}: {error.strerror}; name a folder that can be written"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LoadError(f"another load into {folder} is under way") from error
        yield scratch


def clear_scratch(folder: Path) -> None:
    """Forget an interrupted load, and remove what a finished one worked with."""
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)


def require_room(folder: Path, plain_bytes: int) -> None:
    """Raise DiskFull unless the disk has room for loading a text of `plain_bytes`, mostly kept."""
    require_free(folder, int(plain_bytes * (_WORKSPACE_SHARE + _BASE_SHARE)))


def require_free(folder: Path, needed: int) -> None:
    """Raise DiskFull unless the disk has `needed` bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFull(
            f"the disk under {folder} has {free >> 20:,} MiB free, and the load may take"
            f" {needed >> 20:,} MiB; nothing was changed"
        )
