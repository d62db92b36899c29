"""A cursor comes back as the place that it was made of, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import UnknownPageToken
from server.stores.rules import cursors

NUMBERS = st.integers(0, (1 << 63) - 1)


@given(st.tuples(NUMBERS, st.text(), st.text()))
def test_a_place_comes_back(place: tuple[int, str, str]) -> None:
    shape, other = (int, str, str), (int,)
    assert cursors.decoded(cursors.encoded(place), other, shape) == place


NO_PLACES = [
    "", "x", "{}", "[]", "7", '["a"]', "[1, 2]", "[1.0]", "[true]", "[null]", "[NaN]", "[-1]",
    f"[{1 << 63}]", "[" * 100_000, f"[{'9' * 5_000}]",
]  # fmt: skip


@pytest.mark.parametrize("cursor", NO_PLACES, ids=range(len(NO_PLACES)))
def test_anything_else_is_unknown(cursor: str) -> None:
    with pytest.raises(UnknownPageToken):
        cursors.decoded(cursor, (int,), (int, str))
