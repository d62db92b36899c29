"""SQLite's b-trees, written page by page from cells in order.

A tree that is filled in order needs no search and no split: each page is filled up, then the next
one is begun (sqlite.org, "Database File Format", section 1.6). SQLite makes the empty trees, and
their root pages keep their places.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from server.stores.sqlite.records import Ints, Packed, varint

PAGE_BYTES = 4096
LONGEST_INDEX_CELL, LONGEST_TABLE_CELL = 1000, 4000
"""Longer records may go on on other pages (from 1,003 and 4,062 bytes on), which these trees do not
write."""
_LOCKED_PAGE = (1 << 30) // PAGE_BYTES + 1
"""SQLite locks files by a byte of this page, and keeps nothing there."""
_INDEX_INTERIOR, _TABLE_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13
_SIZE_AT = 28
"""Where the first page has the number of pages."""
_LEAF_HEADER, _INTERIOR_HEADER = 8, 12
_POINTER = 2
_CHILD = 4


class PageFile:
    """A database file without open connection, to which pages are added, by any thread."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b", buffering=0)
        self._next = path.stat().st_size // PAGE_BYTES + 1
        self._lock = threading.Lock()

    def add(self, pages: Sequence[bytes]) -> list[int]:
        """Append pages. Returns their numbers."""
        with self._lock:
            first = self._next
            before = _LOCKED_PAGE - first
            if 0 <= before < len(pages):
                pages = [*pages[:before], bytes(PAGE_BYTES), *pages[before:]]
            self._next += len(pages)
        self.put(first, b"".join(pages))
        return [at for at in range(first, first + len(pages)) if at != _LOCKED_PAGE]

    def put(self, number: int, page: bytes) -> None:
        """Write a page, or several, at the place of page `number`."""
        rest, at = memoryview(page), (number - 1) * PAGE_BYTES
        while rest:
            written = os.pwrite(self._file.fileno(), rest, at)
            rest, at = rest[written:], at + written

    def finish(self) -> None:
        """Tell SQLite how many pages there are."""
        os.pwrite(self._file.fileno(), struct.pack(">I", self._next - 1), _SIZE_AT)

    def close(self) -> None:
        self._file.close()


class Tree:
    """A tree that is filled in order.

    In an index, a page's last key stands above it only, in the parent, so the leaves leave it out.
    """

    def __init__(self, file: PageFile, root: int, *, is_table: bool) -> None:
        self._file, self._root, self._is_table = file, root, is_table
        self._cells = Packed(np.empty(0, np.uint8), np.empty(0, np.int64))
        """Those that are on no page yet."""
        self._row_ids: Ints = np.empty(0, np.int64)
        self._children: list[int] = []
        self._dividers: list[bytes] = []
        """The key between each page and the next."""

    def add(self, cells: Packed, row_ids: Ints | None = None) -> None:
        """Add cells behind those that are there; those of a table have their row ids.

        Raises ValueError for a cell that is longer than the longest.
        """
        longest = LONGEST_TABLE_CELL if self._is_table else LONGEST_INDEX_CELL
        if cells.lengths.max(initial=0) > longest:
            raise ValueError("a row is too long for one page")
        data = np.concatenate([self._cells.data, cells.data])
        lengths = np.concatenate([self._cells.lengths, cells.lengths])
        if row_ids is not None:
            self._row_ids = np.concatenate([self._row_ids, row_ids])
        self._place(Packed(data, lengths))

    def _place(self, cells: Packed) -> None:
        """Write the pages that are certainly full and not the last. Keep the other cells."""
        ends = np.cumsum(cells.lengths)
        room_ends = ends + _POINTER * np.arange(1, len(ends) + 1)
        content = cells.data.tobytes()
        pages: list[bytes] = []
        start, taken, used = 0, 0, 0
        while True:
            room = used + PAGE_BYTES - _LEAF_HEADER
            stop = int(np.searchsorted(room_ends, room, side="right"))
            next_start = stop if self._is_table else stop + 1
            if next_start >= len(ends):
                break
            end = int(ends[stop - 1])
            pages.append(self._leaf(content[taken:end], ends[start:stop] - taken))
            taken = int(ends[next_start - 1])
            if self._is_table:
                self._dividers.append(varint(int(self._row_ids[stop - 1])))
            else:
                self._dividers.append(content[end:taken])
            start, used = next_start, int(room_ends[next_start - 1])
        self._children += self._file.add(pages)
        self._cells = Packed(cells.data[taken:], cells.lengths[start:])
        self._row_ids = self._row_ids[start:]

    def finish(self) -> None:
        """Write the last leaves and the pages above. A tree without cells stays empty."""
        if not len(self._cells.lengths):
            return
        last = self._last_leaves()
        if len(last) == 1 and not self._children:
            self._file.put(self._root, last[0])
            return
        children, dividers = self._children + self._file.add(last), self._dividers
        while True:
            pages, dividers = self._above(children, dividers)
            if len(pages) == 1:
                self._file.put(self._root, pages[0])
                return
            children = self._file.add(pages)

    def _last_leaves(self) -> list[bytes]:
        """One page, or two where all but one cell of an index would fit: no page may be empty."""
        content, ends = self._cells.data.tobytes(), np.cumsum(self._cells.lengths)
        if len(content) + _POINTER * len(ends) <= PAGE_BYTES - _LEAF_HEADER:
            return [self._leaf(content, ends)]
        end, last_start = int(ends[-3]), int(ends[-2])
        self._dividers.append(content[end:last_start])
        return [
            self._leaf(content[:end], ends[:-2]),
            self._leaf(content[last_start:], ends[-1:] - last_start),
        ]

    def _above(
        self, children: Sequence[int], dividers: Sequence[bytes]
    ) -> tuple[list[bytes], list[bytes]]:
        """The pages above `children`, and the keys between these pages."""
        pages: list[bytes] = []
        between: list[bytes] = []
        start = 0
        while True:
            last = _last_child(dividers, start)
            if last < len(dividers):
                last = min(last, len(dividers) - 2)  # the next page needs two children
            pages.append(self._interior(children[start : last + 1], dividers[start:last]))
            if last == len(dividers):
                return pages, between
            between.append(dividers[last])
            start = last + 1

    def _leaf(self, content: bytes, ends: Ints) -> bytes:
        return _page(_TABLE_LEAF if self._is_table else _INDEX_LEAF, b"", content, ends)

    def _interior(self, children: Sequence[int], dividers: Sequence[bytes]) -> bytes:
        kind = _TABLE_INTERIOR if self._is_table else _INDEX_INTERIOR
        *left, right = (struct.pack(">I", child) for child in children)
        cells = [child + divider for child, divider in zip(left, dividers, strict=True)]
        return _page(kind, right, b"".join(cells), np.cumsum([len(cell) for cell in cells]))


def _last_child(dividers: Sequence[bytes], first: int) -> int:
    """The last child on the page that begins with the child `first`."""
    room = PAGE_BYTES - _INTERIOR_HEADER
    for child in range(first, len(dividers)):
        room -= _CHILD + len(dividers[child]) + _POINTER
        if room < 0:
            return child
    return len(dividers)


def _page(kind: int, right_child: bytes, content: bytes, ends: Ints) -> bytes:
    """A page of the cells in `content`, which end at `ends`: header, pointers, gap, content."""
    start = PAGE_BYTES - len(content)
    pointers = np.full(len(ends), start, ">u2")
    pointers[1:] += ends[:-1].astype(">u2")
    head = struct.pack(">BHHHB", kind, 0, len(ends), start, 0) + right_child
    return (head + pointers.tobytes()).ljust(start, b"\0") + content
