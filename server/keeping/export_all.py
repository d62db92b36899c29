"""Writes all users of a store to one file, and goes on where a killed export stopped."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from server.errors import CopyRefused, UnreadableRecord
from server.keeping.erased import all_tombstones, tombstone_line
from server.keeping.everyone import HEADER, End, Skipped, UserBlock, parts
from server.keeping.files import private, put, synced
from server.tuning.export_format import export_lines
from server.tuning.ports import GraphStore, OverlayOf, Page


async def export_all(store: GraphStore, path: Path, fingerprints: Mapping[str, str]) -> End:
    """Write all users to the new file `path`. At most one of them is in memory at a time.

    Until it is whole, the file is `path` with `.making` at the end, and a repetition goes on there.
    Users who come or change after their turn are in the next export. Raises CopyRefused.
    """
    if path.exists():
        raise CopyRefused(f"{path} is there already; name a new file")
    making = path.with_name(f"{path.name}.making")
    try:
        with _alone(making) as file:
            done = _done_before(making)
            file.truncate(done.place)
            if not done.place:
                file.write(f"{HEADER}\n")
            users, skipped = done.users, done.skipped
            async for part in _users(store, done.cursor, fingerprints):
                file.write(part.text())
                file.flush()  # so that a kill costs one user
                users += isinstance(part, UserBlock)
                skipped += isinstance(part, Skipped)
            erased = 0
            async for tombstone in all_tombstones(store):
                file.write(tombstone_line(tombstone) + "\n")
                erased += 1
            end = End(users, skipped, erased)
            file.write(end.text())
            synced(file)
            put(making, path)
    except OSError as error:
        raise CopyRefused(f"{path} cannot be written: {error.strerror}") from error
    return end


@contextlib.contextmanager
def _alone(making: Path) -> Iterator[TextIO]:
    """The file under construction, which no other process may be writing. Raises CopyRefused."""
    with private(making, append=True) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CopyRefused(f"another export is writing {making}") from None
        yield file


@dataclass(frozen=True, slots=True)
class _Done:
    """What an earlier export wrote: up to which byte, which users, and where the next one is.

    `cursor` is None at the start and empty behind the last user.
    """

    place: int = 0
    cursor: str | None = None
    users: int = 0
    skipped: int = 0


def _done_before(making: Path) -> _Done:
    """What a file under construction holds already. Raises CopyRefused."""
    done = _Done()
    for part, _, place in parts(making):
        if isinstance(part, UserBlock):
            done = _Done(place, part.cursor, done.users + 1, done.skipped)
        elif isinstance(part, Skipped):
            done = _Done(place, part.cursor, done.users, done.skipped + 1)
    return done


async def _users(
    store: GraphStore, cursor: str | None, fingerprints: Mapping[str, str]
) -> AsyncIterator[UserBlock | Skipped]:
    """The users behind a cursor, one by one."""
    while cursor != "":
        listing = await store.overlays(Page(1, cursor or ""))
        cursor = listing.next_cursor
        for one in listing.items:
            part = await _user(store, one, cursor, fingerprints)
            if part is not None:
                yield part


async def _user(
    store: GraphStore, one: OverlayOf, cursor: str, fingerprints: Mapping[str, str]
) -> UserBlock | Skipped | None:
    """One user as of one moment. None if they were erased meanwhile."""
    overlay_id = one.snapshot.overlay_id
    while True:
        history = await store.history(one.user)
        now = await store.snapshot(one.user)
        if now.overlay_id == overlay_id:
            break  # then the history is that overlay's
        if not now.revision:
            return None
        overlay_id = now.overlay_id
    try:
        lines = tuple(export_lines(history, fingerprints))
    except UnreadableRecord as error:
        return Skipped(error.edit_id, error.revision, cursor)
    return UserBlock(one.user, overlay_id, cursor, lines)
