"""Backups of the embedded store: a folder with both files as of one moment, and a manifest.

A base's file never changes once it is in its place, and overlays name concepts by their keys, so
the two belong together if the base stayed in its place while the overlays were copied. SQLite
writes that copy row by row in one read transaction. It holds no gaps, and so no trace of users who
were erased. The folder gets its name when everything in it is on disk and has been read back.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from server.errors import CopyRefused, StoreBusy
from server.files import file_digest, sync_file
from server.stores.sqlite import sql
from server.stores.sqlite.base import BASE_FILE, BaseReader
from server.stores.sqlite.check import OVERLAYS_FILE, check_base, check_overlays, counts_in
from server.stores.sqlite.connection import connect, translated
from server.stores.sqlite.migrations import schema_version
from server.stores.sqlite.private_files import create_private, staged_folder
from server.tuning.ports import StoreCounts

MANIFEST_FILE = "manifest.json"
_FORMAT, _VERSION = "kgt-backup", 1
_STORE_FILES = (BASE_FILE, OVERLAYS_FILE)
_MOST_MANIFEST_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 20
_TRIES = 5
"""How often the copy is made again because another base took the base's place meanwhile."""
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A file of a backup, as the manifest describes it."""

    bytes: int
    sha256: str
    schema_version: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds, and how much. `base_fingerprint` is empty without a base."""

    made_ms: int
    base_fingerprint: str
    counts: StoreCounts
    files: Mapping[str, CopiedFile]

    def to_json(self) -> str:
        return json.dumps({"format": _FORMAT, "version": _VERSION, **asdict(self)}, indent=1)


def make_backup(data: Path, folder: Path) -> tuple[Manifest, list[str]]:
    """Copy the store in `data` to the new `folder`. Servers may go on using the store.

    Returns (what the backup holds, what a check finds wrong with it). A record that cannot be read
    is in the backup too, and does not prevent it. Raises CopyRefused, StoreBusy, StoreFull, and
    DataLoss where a whole file is damaged. Then nothing is left.
    """
    if not any((data / name).exists() for name in _STORE_FILES):
        raise CopyRefused(f"{data} holds no store (KGT_DATA)")
    try:
        with staged_folder(folder) as making:
            _copy(data, making)
            problems = check_base(making / BASE_FILE)
            if (making / OVERLAYS_FILE).exists():
                problems += check_overlays(making / OVERLAYS_FILE)
            manifest = _described(making)
            create_private(making / MANIFEST_FILE)
            (making / MANIFEST_FILE).write_text(manifest.to_json() + "\n")
            for path in making.iterdir():
                sync_file(path)
    except OSError as error:
        raise CopyRefused(f"the backup cannot be written: {error}") from error
    return manifest, problems


def _copy(data: Path, to: Path) -> None:
    """Copy both files. The base is the one that was in place at the moment of the overlays."""
    for _ in range(_TRIES):
        with contextlib.ExitStack() as opened:
            base = data / BASE_FILE
            source = opened.enter_context(base.open("rb")) if base.exists() else None
            _copy_overlays(data / OVERLAYS_FILE, to / OVERLAYS_FILE)
            if source is None:
                if not base.exists():
                    return
            elif os.path.samestat(os.fstat(source.fileno()), base.stat()):
                create_private(to / BASE_FILE)
                with (to / BASE_FILE).open("wb") as target:
                    shutil.copyfileobj(source, target, _BLOCK_BYTES)
                return
    raise StoreBusy("the base graph is being replaced; make the backup when it is loaded")


def _copy_overlays(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    if source.exists():
        create_private(target)
        with translated(), contextlib.closing(connect(source, _TIMEOUT_S)) as connection:
            connection.execute(sql.VACUUM_INTO, (str(target),))


def _described(folder: Path) -> Manifest:
    """The manifest of the files in a folder. Raises DataLoss."""
    files = {}
    fingerprint = ""
    if (folder / BASE_FILE).exists():
        with translated(), contextlib.closing(BaseReader(folder / BASE_FILE)) as base:
            fingerprint = base.fingerprint
            files[BASE_FILE] = _file(folder / BASE_FILE, int(base.meta("schema_version")))
    if (folder / OVERLAYS_FILE).exists():
        version = schema_version(folder / OVERLAYS_FILE)
        files[OVERLAYS_FILE] = _file(folder / OVERLAYS_FILE, version)
    return Manifest(time.time_ns() // 1_000_000, fingerprint, counts_in(folder), files)


def _file(path: Path, version: int) -> CopiedFile:
    return CopiedFile(path.stat().st_size, file_digest(path), version)


# Reading


def read_backup(folder: Path) -> Manifest:
    """The manifest of the backup in `folder`, whose files are as it says. Raises CopyRefused."""
    try:
        manifest = _manifest(folder)
        for name, described in manifest.files.items():
            path = folder / name
            if path.stat().st_size != described.bytes or file_digest(path) != described.sha256:
                raise CopyRefused(f"{path} is not as the manifest says; take another backup")
    except OSError as error:
        raise CopyRefused(f"{folder} is not a whole backup: {error}") from error
    return manifest


def _manifest(folder: Path) -> Manifest:
    """The manifest in `folder`. Raises CopyRefused and OSError."""
    with (folder / MANIFEST_FILE).open("rb") as file:
        content = file.read(_MOST_MANIFEST_BYTES)
    try:
        document: dict[str, Any] = json.loads(content)
        version = document["version"]
        if document["format"] == _FORMAT and version == _VERSION:
            return Manifest(
                int(document["made_ms"]),
                str(document["base_fingerprint"]),
                StoreCounts(**document["counts"]),
                {
                    name: CopiedFile(**document["files"][name])
                    for name in _STORE_FILES
                    if name in document["files"]
                },
            )
    except (ValueError, KeyError, TypeError) as error:
        raise CopyRefused(f"{folder / MANIFEST_FILE} is not a backup's manifest") from error
    raise CopyRefused(
        f"{folder / MANIFEST_FILE} has format version {version}, this service reads {_VERSION};"
        " update the service"
    )
