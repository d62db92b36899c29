"""Pages of a listing, cut by the number of items and by their size as stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from server.tuning.ports import Listing, Page

Item = TypeVar("Item")
Place = TypeVar("Place")


def cut(
    found: Sequence[tuple[Item, Place]], size: int, cursor: Callable[[Place], str], end: str = ""
) -> Listing[Item]:
    """The first `size` items of `found`, which holds each with the place behind it.

    The caller reads one item more than the page holds. If it is there, there is another page;
    if not, the cursor is `end`.
    """
    more = len(found) > size
    next_cursor = cursor(found[size - 1][1]) if more else end
    return Listing(tuple(item for item, _ in found[:size]), next_cursor)


def fill(
    items: Iterable[Item], bytes_of: Callable[[Item], int], page: Page
) -> tuple[list[Item], Item | None]:
    """(the items of a page, the first item of the next page or None).

    A page holds at least one item, at most `page.size`, and no more than `page.max_bytes` in all.
    `items` is not read further than that.
    """
    taken: list[Item] = []
    taken_bytes = 0
    for item in items:
        taken_bytes += bytes_of(item)
        if taken and (len(taken) == page.size or taken_bytes > page.max_bytes):
            return taken, item
        taken.append(item)
    return taken, None
