"""Pages end where they should, and lead on where there is more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.stores.rules import pages
from server.tuning.ports import Listing, Page

FOUND = [("a", 1), ("b", 2), ("c", 3)]


def test_one_item_more_tells_that_there_is_another_page() -> None:
    assert pages.cut(FOUND, 2, str) == Listing(("a", "b"), "2")
    assert pages.cut(FOUND, 3, str) == Listing(("a", "b", "c"), "")
    assert pages.cut([], 3, str) == Listing((), "")


def test_a_page_that_is_not_full_may_still_lead_on() -> None:
    assert pages.cut(FOUND[:1], 2, str, end="later") == Listing(("a",), "later")
    assert pages.cut(FOUND, 2, str, end="later") == Listing(("a", "b"), "2")


@pytest.mark.parametrize(
    ("size", "max_bytes", "taken", "following"),
    [
        (9, 99, [5, 5, 5, 5], None),
        (2, 99, [5, 5], 5),
        (4, 99, [5, 5, 5, 5], None),
        (9, 12, [5, 5], 5),
        (9, 10, [5, 5], 5),
        (9, 4, [5], 5),
    ],
)
def test_a_page_is_filled_by_number_and_by_bytes(
    size: int, max_bytes: int, taken: list[int], following: int | None
) -> None:
    page = Page(size, max_bytes=max_bytes)
    assert pages.fill([5] * 4, lambda item: item, page) == (taken, following)


def test_nothing_is_read_behind_the_page() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2, 3)
        raise AssertionError("read on")

    assert pages.fill(items(), lambda item: 1, Page(2)) == ([1, 2], 3)


def test_a_page_of_nothing_is_empty() -> None:
    assert pages.fill([], lambda item: 1, Page(2)) == ([], None)
