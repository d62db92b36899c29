"""Files that only their owner may read, since they hold what users wrote."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from server.errors import CopyRefused
from server.files import sync_file

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_folder(folder: Path) -> None:
    """Make the folder, or take away others' access to it. Raises what the disk raises."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not folder.stat().st_mode & stat.S_ISVTX:  # a shared folder, such as /tmp, stays shared
        keep_private([folder])


def create_private(path: Path) -> None:
    """Make an empty file that only its owner can read, unless there is a file already."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def keep_private(paths: Iterable[Path]) -> None:
    """Take away the access of group and others, where the file is this user's."""
    for path in paths:
        with contextlib.suppress(OSError):  # the file is gone, or the disk has no modes
            found = path.lstat()
            mode = stat.S_IMODE(found.st_mode)
            if found.st_uid == os.geteuid() and mode & _OTHERS and not stat.S_ISLNK(found.st_mode):
                path.chmod(mode & ~_OTHERS)


@contextlib.contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """An empty private folder that gets the name of the new `folder` at the end, or is removed.

    One that a killed process left is emptied and used. Raises CopyRefused where `folder` exists or
    another process is making it, and OSError.
    """
    if folder.exists():
        raise CopyRefused(f"{folder} is there already; name a new folder")
    making = folder.with_name(f"{folder.name}.making")
    private_folder(making)
    descriptor = os.open(making, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CopyRefused(f"another process is making {folder}") from None
        try:
            for left in making.iterdir():
                left.unlink()
            yield making
            sync_file(making)
            making.rename(folder)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        sync_file(folder.parent)
    finally:
        os.close(descriptor)
