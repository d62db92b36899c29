"""Taking a backup of the embedded store back, without the users who were erased since.

The backup is copied into the data folder, brought up to date, and rid of erased users before
anything takes its name. Each file then takes its place in one step, the base first. A restore that
is cut off between the two leaves the old overlays over the backup's base; repeat it. Until both are
in place, no other process can open either file of overlays, the old one or the new one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.errors import CopyRefused, DataLoss
from server.files import file_digest, sync_file
from server.graph.relation import Vocabulary
from server.stores.sqlite import sql
from server.stores.sqlite.backup import Manifest, read_backup
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.check import OVERLAYS_FILE, check_folder
from server.stores.sqlite.connection import connect, log_of, translated
from server.stores.sqlite.migrations import schema_version
from server.stores.sqlite.private_files import create_private, private_folder
from server.stores.sqlite.store import SqliteStore
from server.tuning.ports import Tombstone

_STAGING = "restoring"
_TIMEOUT_S = 5.0
_SHARED_LOCK_FROM, _SHARED_LOCK_BYTES = 0x4000_0002, 510
"""Where every connection to a file with a write-ahead log holds a lock as long as it is open
(https://www.sqlite.org/src/file/src/os.h, "SHARED_FIRST")."""
_WITH_TOMBSTONES = 3
"""The first schema version of overlays' files with tombstones."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was taken back, how many users were erased from it, and what a check finds wrong."""

    manifest: Manifest
    erased: int
    problems: Sequence[str]


async def restore_backup(
    folder: Path, data: Path, erased: Sequence[Tombstone] | None, *, replace: bool = False
) -> Restored:
    """Take the backup in `folder` into the folder `data`, which no server may be using.

    Users with a tombstone in `erased`, or in the store that is replaced, are erased from what is
    taken back. Raises CopyRefused before anything is changed: for a damaged backup, for data
    without `replace`, and where tombstones cannot be read and `erased` is None.
    """
    manifest = read_backup(folder)
    present = [name for name in (BASE_FILE, OVERLAYS_FILE) if (data / name).exists()]
    if present and not replace:
        raise CopyRefused(
            f"{data} holds a store already; name another folder with --into, or add --replace"
        )
    tombstones = [*_tombstones_there(data, erased is not None), *(erased or ())]
    try:
        private_folder(data)
        with (
            _kept_closed(data / OVERLAYS_FILE) as is_kept,
            _staging(data / _STAGING) as staging,
        ):
            _copy(manifest, folder, staging)
            store = SqliteStore(staging, Vocabulary.built_in())
            try:
                buried = await store.bury(tombstones)
            finally:
                await store.close()
            problems, _ = check_folder(staging)
            _put_in_place(staging, data, is_first=not is_kept)
    except OSError as error:
        raise CopyRefused(f"the backup cannot be taken into {data}: {error}") from error
    return Restored(manifest, buried, problems)


@contextlib.contextmanager
def _kept_closed(overlays: Path) -> Iterator[bool]:
    """Keep other processes from opening an overlays' file. Yields whether there is one.

    Raises CopyRefused while one has it open. The lock would end early if this process closed
    another descriptor of the same file.
    """
    try:
        file = overlays.open("r+b")
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_LOCK_BYTES, _SHARED_LOCK_FROM)
        except OSError as error:
            raise _in_use(overlays.parent) from error
        yield True


def _in_use(data: Path) -> CopyRefused:
    return CopyRefused(f"{data} is in use; stop the server first")


def _tombstones_there(data: Path, others_are_given: bool) -> list[Tombstone]:
    """The tombstones of the store in `data`. Raises CopyRefused where they cannot be read.

    Reading them also brings the write-ahead log back into the file.
    """
    overlays = data / OVERLAYS_FILE
    if not overlays.exists():
        return []
    try:
        if schema_version(overlays) < _WITH_TOMBSTONES:
            return []
        with translated(), contextlib.closing(connect(overlays, _TIMEOUT_S)) as connection:
            return [Tombstone(*row) for row in connection.execute(sql.ALL_TOMBSTONES)]
    except DataLoss as error:
        if others_are_given:
            return []
        raise CopyRefused(
            f"{data} is damaged, so it cannot be read who was erased since the backup; name a list"
            " that `python -m server erased` wrote with --erased, or /dev/null if it was nobody"
        ) from error


@contextlib.contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """An empty private folder, which is removed at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    private_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(manifest: Manifest, folder: Path, staging: Path) -> None:
    """Copy a backup's files. Raises CopyRefused if one has changed since it was verified."""
    for name, described in manifest.files.items():
        create_private(staging / name)
        shutil.copyfile(folder / name, staging / name)
        if file_digest(staging / name) != described.sha256:
            raise CopyRefused(f"{folder / name} was changed while it was read; try again")


def _put_in_place(staging: Path, data: Path, *, is_first: bool) -> None:
    """Move both files into the data folder.

    Where the overlays are the first there, raises CopyRefused if a server has begun its own.
    """
    for path in (staging / BASE_FILE, staging / OVERLAYS_FILE):
        if path.exists():
            sync_file(path)
    with _kept_closed(staging / OVERLAYS_FILE):
        if is_first:
            _take_free_place(staging / OVERLAYS_FILE, data / OVERLAYS_FILE)
        for name in (BASE_FILE, OVERLAYS_FILE):
            _remove_logs(data / name)
            if (staging / name).exists():
                (staging / name).replace(data / name)
            else:
                (data / name).unlink(missing_ok=True)
            sync_file(data)


def _take_free_place(new: Path, place: Path) -> None:
    """Give the file a second name, before there is anything that a server could open there."""
    _remove_logs(place)
    try:
        os.link(new, place)
    except FileExistsError:
        raise _in_use(place.parent) from None


def _remove_logs(path: Path) -> None:
    """Remove what only a damaged file leaves next to it. It does not fit the new file."""
    log = log_of(path)
    log.unlink(missing_ok=True)
    log.with_name(f"{path.name}-shm").unlink(missing_ok=True)
