"""Files of JSON lines: read line by line, and put in place whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from server.errors import CopyRefused
from server.files import sync_file
from server.graph.codec import NotJson, json_document

MAX_LINE_BYTES = 64 << 20
"""No line that this service writes is nearly as long, and a line is held in memory."""


def lines(path: Path) -> Iterator[tuple[int, str, int]]:
    """The whole lines of a file: (number from 1, text without its end, place behind it in bytes).

    What follows the last line end is left out. Raises CopyRefused.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) == MAX_LINE_BYTES:
                        raise CopyRefused(f"{path}: line {number} is too long to be one of ours")
                    return
                yield number, line[:-1].decode(), file.tell()
    except UnicodeDecodeError as error:
        raise CopyRefused(f"{path}: line {number} is not UTF-8") from error
    except OSError as error:
        raise CopyRefused(f"{path} cannot be read: {error.strerror}") from error


def documents(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file, each with the number of its line. Raises CopyRefused."""
    for number, line, _ in lines(path):
        yield number, document(path, number, line)


def document(path: Path, number: int, line: str) -> dict[str, Any]:
    """The JSON object in a line. Raises CopyRefused."""
    try:
        found = json_document(line)
    except NotJson as error:
        raise CopyRefused(f"{path}: line {number} {error}") from error
    if not isinstance(found, dict):
        raise CopyRefused(f"{path}: line {number} is not a JSON object")
    return found


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[TextIO]:
    """A private file that takes the place of `path` when it is whole and on disk.

    Raises CopyRefused.
    """
    making = path.with_name(f"{path.name}.making")
    try:
        making.unlink(missing_ok=True)
        with private(making) as file:
            yield file
            synced(file)
        put(making, path)
    except OSError as error:
        raise CopyRefused(f"{path} cannot be written: {error.strerror}") from error


def private(path: Path, *, append: bool = False) -> TextIO:
    """A file that only its owner can read, opened for writing."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    return os.fdopen(os.open(path, flags, 0o600), "a" if append else "w", encoding="utf-8")


def synced(file: TextIO) -> None:
    """Wait until what was written is on disk."""
    file.flush()
    os.fsync(file.fileno())


def put(making: Path, path: Path) -> None:
    """Give a finished file its name, on disk too."""
    making.replace(path)
    sync_file(path.parent)
