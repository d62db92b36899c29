"""Zeroes what deleted rows leave in a database file.

`PRAGMA secure_delete` zeroes the cells and pages that a DELETE frees. It does not zero what an
earlier insertion left: when SQLite balances a b-tree, it copies cells to sibling pages, and the old
copies stay in the gap between a page's cell pointers and its cells
(https://www.sqlite.org/fileformat2.html, "B-tree Pages"). SQLite never reads the gap, so zeroing it
changes nothing, whenever a process dies.
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
"""Pages whose gaps are zeroed under one write lock: 64 MiB, which takes about 50 ms."""

_FILE_HEADER_BYTES = 100
_BTREE_KINDS = frozenset((2, 5, 10, 13))
"""The first byte of a b-tree page. Other pages begin with a page number or with zeros."""
_INTERIOR_BELOW = 8
_AMBIGUOUS_FROM = 2 << 24
"""From this page number on, an overflow page may begin like a b-tree page (128 GiB of 4 KiB pages).
"""


class CannotScrub(Exception):
    """The gaps of the file cannot be distinguished from its content."""


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """The result of a pass over some pages. `next_page` counts from 0, and is None at the end."""

    zeroed_bytes: int
    next_page: int | None


class Scrubber:
    """Zeroes the gaps of one overlays' file while servers use it.

    An erase notes in its own transaction that the file has to be scrubbed (`sql.OWE_SCRUB`). If the
    process dies first, the next one finds the note.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = log_of(path)
        self._descriptor: int | None = None

    def scrub(self, connection: sqlite3.Connection) -> bool:
        """Scrub slice by slice from where the note says. False while somebody else uses the log.

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
            except CannotScrub:  # then SQLite rewrites the whole file, which holds up writers
                connection.execute(sql.VACUUM)
                connection.execute(sql.DROP_SCRUB)
        return emptied(connection)

    def _scrub_slice(self, connection: sqlite3.Connection) -> None:
        """Scrub one slice under the write lock. The commit empties other connections' caches."""
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

        Closing any descriptor of a file drops all locks of the process on it, including SQLite's
        (POSIX).
        """
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        return self._descriptor

    def close(self) -> None:
        """Close the file. Every connection to it must be closed before. May be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def emptied(connection: sqlite3.Connection) -> bool:
    """Write the log back and empty it. False while a reader or a writer prevents it.

    A reader is noticed without taking the write lock, so that no writer waits.
    """
    _, pages, written_back = connection.execute(sql.CHECKPOINT).fetchone()
    if pages != written_back:
        return False
    busy: int = connection.execute(sql.TRUNCATE_WAL).fetchone()[0]
    return not busy


def zero_gaps(descriptor: int, first_page: int, pages: int) -> Scrubbed:
    """Zero the gaps of up to `pages` b-tree pages of an open database file.

    `first_page` counts from 0. The caller holds the write lock, and the write-ahead log is empty,
    so that the file has the latest version of every page. The caller has to commit afterwards, or
    connections that keep pages in memory may write an old gap back. Raises CannotScrub and OSError.
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
    """(bytes of a page, bytes of it that SQLite uses), from the file's header."""
    header = os.pread(descriptor, _FILE_HEADER_BYTES, 0)
    if not header.startswith(b"SQLite format 3\0"):
        raise CannotScrub("the file is not an SQLite database")
    (size,) = struct.unpack(">H", header[16:18])
    page_bytes = 65536 if size == 1 else size
    return page_bytes, page_bytes - header[20]


def _gap(block: bytes, at: int, usable_bytes: int, *, is_first: bool) -> range | None:
    """The unused middle of the page at `at` in `block`; None for a page that is not a b-tree's."""
    # The first page begins with the file's header
    header = at + (_FILE_HEADER_BYTES if is_first else 0)
    kind = block[header]
    if kind not in _BTREE_KINDS:
        return None
    cells, content = struct.unpack(">HH", block[header + 3 : header + 7])
    begin = header + (12 if kind < _INTERIOR_BELOW else 8) + 2 * cells
    end = at + (content or 65536)
    if not begin <= end <= at + usable_bytes:
        return None  # not a page that SQLite wrote; leave it alone
    return range(begin, end)
