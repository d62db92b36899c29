"""Files that only their owner may read: what users wrote is in them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_folder(folder: Path) -> None:
    """Make the folder, or take it from others where it is there. Raises what the disk raises."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not folder.stat().st_mode & stat.S_ISVTX:  # a folder that many share, as /tmp, stays theirs
        keep_private([folder])


def create_private(path: Path) -> None:
    """Make an empty file that only its owner can read, whatever the umask; one that is there stays
    as it is."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def keep_private(paths: Iterable[Path]) -> None:
    """Take the access of group and others from those of `paths` that belong to this process's user."""
    for path in paths:
        with contextlib.suppress(OSError):  # gone meanwhile, or on a disk without modes
            found = path.lstat()
            mode = stat.S_IMODE(found.st_mode)
            if found.st_uid == os.geteuid() and mode & _OTHERS and not stat.S_ISLNK(found.st_mode):
                path.chmod(mode & ~_OTHERS)


def sync_file(path: Path) -> None:
    """Have the file or folder on disk before anything relies on it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
