"""Files that are read again when they change, so that keys rotate without a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from server.errors import InvalidSetting

Value = TypeVar("Value")

_log = logging.getLogger("kgt.rpc.identity")


class Watched(Generic[Value]):
    """What some files say together.

    If they cannot be used after a change (a certificate is replaced before its key), what they said
    before stays in force, and the log says so once for each change.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[Sequence[bytes]], Value]) -> None:
        """`read` makes the value of the files' contents. Raises InvalidSetting, as `read` does."""
        self._paths = paths
        self._read = read
        self._stamps = self._stamps_now()
        self._value = self._read_now()

    def current(self) -> Value:
        """What the files say now."""
        stamps = self._stamps_now()
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                self._value = self._read_now()
                _log.info("read again: %s", ", ".join(map(str, self._paths)))
            except InvalidSetting as error:
                _log.warning("%s; what was read before stays in force", error)
        return self._value

    def _read_now(self) -> Value:
        return self._read([_contents(path) for path in self._paths])

    def _stamps_now(self) -> list[tuple[int, ...] | None]:
        return [_stamp(path) for path in self._paths]


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidSetting(f"{path} cannot be read: {error.strerror}") from error


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What differs after a change, also where the path is a link that now leads elsewhere."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
