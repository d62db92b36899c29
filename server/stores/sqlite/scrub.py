"""Zeroing what SQLite leaves in a database file of rows that were deleted.

`PRAGMA secure_delete` zeroes the cells and pages that a DELETE frees. It does not zero what an
earlier insertion left: when SQLite balances a b-tree it copies cells to sibling pages, and the old
copies stay in the gap between a page's cell pointers and its cells
(https://www.sqlite.org/fileformat2.html, "B-tree Pages"). The gap is never read, so zeroing it
changes nothing that SQLite sees, at whatever moment a process dies.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from dataclasses import dataclass
from pathlib import Path

from server.stores.sqlite import sql
from server.stores.sqlite.connection import log_of, transaction

SLICE_PAGES = 16_384
"""Pages whose gaps are zeroed under one write lock: 64 MiB, some 50 ms."""

_FILE_HEADER_BYTES = 100
_BTREE_KINDS = frozenset((2, 5, 10, 13))
"""The first byte of a b-tree page. All other pages begin with the number of another page, or with
zeros."""
_INTERIOR_BELOW = 8
_AMBIGUOUS_FROM = 2 << 24
"""From this page number on, the first byte of an overflow page may be that of a b-tree page (128
GiB at 4 KiB a page)."""


class CannotScrub(Exception):
    """The file is not one whose gaps can be told from its content."""


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What a pass over some pages came to. `next_page` is where to go on, counted from 0; None at
    the end."""

    zeroed_bytes: int
    next_page: int | None


class Scrubber:
    """Zeroes the gaps of one overlays' file while servers use it.

    An erase notes in its own transaction that the file has to be scrubbed (`sql.OWE_SCRUB`), so
    that a process that dies in between leaves the note to the next one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = log_of(path)
        self._descriptor: int | None = None

    def scrub(self, connection: sqlite3.Connection) -> bool:
        """Go on from where the note says, slice by slice; False where somebody else keeps the log
        in use.

        Raises sqlite3.Error and OSError.
        """
        while connection.execute(sql.GET_SCRUB).fetchone() is not None:
            if not emptied(connection):
                return False
            try:
                with transaction(connection):
                    if self._log.stat().st_size:
                        return False  # somebody wrote between the two statements
                    self._scrub_slice(connection)
            except CannotScrub:  # SQLite makes the file anew instead, which holds up writers
                connection.execute(sql.VACUUM)
                connection.execute(sql.DROP_SCRUB)
        return emptied(connection)

    def _scrub_slice(self, connection: sqlite3.Connection) -> None:
        """One slice under the write lock. Its commit makes every connection forget the pages that
        it keeps."""
        noted = connection.execute(sql.GET_SCRUB).fetchone()
        if noted is None:
            return  # another process was faster
        done = zero_gaps(self._opened(), int(noted[0]), SLICE_PAGES)
        if done.next_page is None:
            connection.execute(sql.DROP_SCRUB)
        else:
            connection.execute(sql.PUT_SCRUB, (done.next_page,))

    def _opened(self) -> int:
        """The file's descriptor, which stays open as long as this process uses the file.

        Closing any descriptor of a file ends all of the process's locks on it, SQLite's among them
        (POSIX).
        """
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        return self._descriptor

    def close(self) -> None:
        """Let go of the file, after every connection to it is closed. Does nothing twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def emptied(connection: sqlite3.Connection) -> bool:
    """Write the log back and empty it. False where a reader or a writer hinders it.

    What a reader hinders is seen without taking the write lock, so that it delays no writer.
    """
    _, pages, written_back = connection.execute(sql.CHECKPOINT).fetchone()
    if pages != written_back:
        return False
    busy: int = connection.execute(sql.TRUNCATE_WAL).fetchone()[0]
    return not busy


def zero_gaps(descriptor: int, first_page: int, pages: int) -> Scrubbed:
    """Zero the gaps of up to `pages` b-tree pages from `first_page` (counted from 0) of an open
    database file.

    The caller holds the database's write lock, and its write-ahead log is empty: what stands in the
    file is then the latest of every page. Connections that keep pages in memory must be told by a
    commit afterwards, or they may write an old gap back. Raises CannotScrub and OSError.
    """
    size = os.fstat(descriptor).st_size
    page_bytes, usable_bytes = _page_bytes(descriptor)
    if size // page_bytes >= _AMBIGUOUS_FROM:
        raise CannotScrub("the file is too large for its pages to be told apart")
    start = first_page * page_bytes
    block = os.pread(descriptor, pages * page_bytes, start)
    zeroed = 0
    for at in range(0, len(block) - page_bytes + 1, page_bytes):
        gap = _gap(block, at, usable_bytes, is_first=start + at == 0)
        if gap is not None and any(block[gap.start : gap.stop]):
            os.pwrite(descriptor, bytes(len(gap)), start + gap.start)
            zeroed += len(gap)
    if zeroed:
        os.fsync(descriptor)
    end = start + len(block)
    return Scrubbed(zeroed, end // page_bytes if block and end < size else None)


def _page_bytes(descriptor: int) -> tuple[int, int]:
    """(bytes of a page, of which SQLite uses), as the file's header says."""
    header = os.pread(descriptor, _FILE_HEADER_BYTES, 0)
    if not header.startswith(b"SQLite format 3\0"):
        raise CannotScrub("the file is not an SQLite database")
    (size,) = struct.unpack(">H", header[16:18])
    page_bytes = 65536 if size == 1 else size
    return page_bytes, page_bytes - header[20]


def _gap(block: bytes, at: int, usable_bytes: int, *, is_first: bool) -> range | None:
    """Where the unused middle of the page at `at` lies in `block`; None for a page that is not a
    b-tree's."""
    header = at + (
        _FILE_HEADER_BYTES if is_first else 0
    )  # the file's header stands on the first page
    kind = block[header]
    if kind not in _BTREE_KINDS:
        return None
    cells, content = struct.unpack(">HH", block[header + 3 : header + 7])
    begin = header + (12 if kind < _INTERIOR_BELOW else 8) + 2 * cells
    end = at + (content or 65536)
    if not begin <= end <= at + usable_bytes:
        return None  # not a page that SQLite wrote; leave it alone
    return range(begin, end)
