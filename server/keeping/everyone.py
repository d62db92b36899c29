"""All users of a store in one file, as JSON lines.

{"format":"kgt-users","version":1}
{"user":"alice","overlay_id":"...","cursor":"..."}  then the lines of the user's overlay
{"format":"kgt-overlay",...}                     (server.tuning.export_format): header to footer
...
{"skipped":"...","revision":3,"cursor":"..."}    a user whose edit "..." cannot be read
{"overlay_id":"...","time_ms":...}               one for each erased overlay
{"users":2,"skipped":0,"erased":1}               the end of a whole file

Each user is written as of one moment. A user who was erased after that moment is among the erased
overlays at the end.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from server.errors import CopyRefused
from server.keeping.erased import tombstone_in
from server.keeping.files import document, lines
from server.tuning.export_format import FORMAT as OVERLAY_FORMAT
from server.tuning.ports import Tombstone

FORMAT, VERSION = "kgt-users", 1
HEADER = json.dumps({"format": FORMAT, "version": VERSION})
_OVERLAY_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class UserBlock:
    """A user of such a file: whose overlay it is, its id, and the lines of its export.

    `cursor` is the place behind the user in the store that it was written from; empty at the end.
    """

    user: str
    overlay_id: str
    cursor: str
    lines: Sequence[str]

    def text(self) -> str:
        """The block as it is written."""
        about = {"user": self.user, "overlay_id": self.overlay_id, "cursor": self.cursor}
        return "".join(f"{line}\n" for line in (json.dumps(about), *self.lines))


@dataclass(frozen=True, slots=True)
class Skipped:
    """A user who is left out, since an edit of theirs cannot be read."""

    skipped: str
    revision: int
    cursor: str

    def text(self) -> str:
        """The line as it is written."""
        return json.dumps(asdict(self)) + "\n"


@dataclass(frozen=True, slots=True)
class End:
    """The end of a whole file: how many users it has, how many are left out, and erased."""

    users: int
    skipped: int
    erased: int

    def text(self) -> str:
        """The line as it is written."""
        return json.dumps(asdict(self)) + "\n"


Part = UserBlock | Skipped | Tombstone | End


class Found(NamedTuple):
    """A part, the number of its last line, and the place behind it in bytes."""

    part: Part
    line: int
    place: int


def parts(path: Path) -> Iterator[Found]:
    """The whole parts of a file, one by one.

    A part that the end of the file cuts off is left out. Raises CopyRefused.
    """
    reader = _Reader(path)
    for number, line, place in lines(path):
        part = reader.read(number, line)
        if part is not None:
            yield Found(part, number, place)


class _Reader:
    """Puts lines together to parts. It holds the lines of one user at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._about: dict[str, Any] | None = None
        self._lines: list[str] = []
        self._digest = hashlib.sha256()

    def read(self, number: int, line: str) -> Part | None:
        """The part that ends with this line, if one does."""
        if self._about is not None:
            return self._within(number, line)
        found = document(self._path, number, line)
        if number == 1:
            if found.get("format") != FORMAT or found.get("version") != VERSION:
                raise CopyRefused(f"{self._path} is not a file of all users ({FORMAT} {VERSION})")
            return None
        for kind in (End, Skipped):
            if found.keys() == {field.name for field in fields(kind)}:
                return kind(**found)
        if (tombstone := tombstone_in(found)) is not None:
            return tombstone
        self._about = self._checked(number, found)
        return None

    def _within(self, number: int, line: str) -> UserBlock | None:
        """A line of a user's export. The last one has the hash of those before it."""
        assert self._about is not None
        is_footer = line.startswith('{"edits": ')
        if not self._lines and OVERLAY_FORMAT not in line:
            raise CopyRefused(f"{self._path}: line {number} is not the start of an overlay")
        self._lines.append(line)
        if not is_footer:
            self._digest.update(line.encode() + b"\n")
            return None
        if document(self._path, number, line).get("sha256") != self._digest.hexdigest():
            raise CopyRefused(f"{self._path}: what ends in line {number} was cut or changed")
        block = UserBlock(**self._about, lines=tuple(self._lines))
        self._about, self._lines, self._digest = None, [], hashlib.sha256()
        return block

    def _checked(self, number: int, about: dict[str, Any]) -> dict[str, Any]:
        user, overlay_id, cursor = (about.get(name) for name in ("user", "overlay_id", "cursor"))
        if not (
            len(about) == 3
            and isinstance(user, str)
            and user
            and isinstance(cursor, str)
            and isinstance(overlay_id, str)
            and _OVERLAY_ID.fullmatch(overlay_id)
        ):
            raise CopyRefused(f"{self._path}: line {number} does not name a user")
        return about
