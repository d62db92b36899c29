"""A forward pass in blocks: each token sees its branch, through keys of its segment only."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.lm.blocks import Layout, Segment, lay_out
from server.lm.packing import Indices, TokenSequence, Tree, pack

trees = st.lists(
    st.lists(st.integers(0, 2), min_size=2, max_size=9).map(
        lambda tokens: TokenSequence(tuple(tokens), 1)
    ),
    min_size=1,
    max_size=12,
).map(lambda sequences: pack(sequences, 10_000)[0])


def seen_by_row_token(layout: Layout, *, kept: bool) -> dict[int, set[int]]:
    """What each token of the row sees, by where its result is read."""
    at_place: dict[int, set[int]] = {}
    offset = 0
    for group in layout.groups:
        for keys, mask in zip(group.keys, group.mask, strict=True):
            for row in mask:
                if group.kept == kept:
                    at_place[offset] = set(keys[row].tolist())
                offset += 1
    return {
        token: at_place[place]
        for token, place in enumerate(layout.places.tolist())
        if place in at_place
    }


@given(st.lists(trees, min_size=1, max_size=4), st.integers(1, 8))
def test_each_token_sees_its_own_branch_and_nothing_of_another_segment(
    given_trees: list[Tree], block_tokens: int
) -> None:
    read = np.zeros(0, dtype=np.int64)
    layout = lay_out([Segment.of_tree(tree, read) for tree in given_trees], {}, block_tokens)
    seen = seen_by_row_token(layout, kept=False)
    start = 0
    for tree in given_trees:
        length = len(tree.tokens)
        for token, row in enumerate(tree.mask()):
            assert seen[start + token] == {start + int(n) for n in row.nonzero()[0]}
        for group in layout.groups:
            for queries, keys in zip(group.queries, group.keys, strict=True):
                if start <= queries[0] < start + length:
                    assert all(start <= key < start + length for key in keys), "not even as filling"
        start += length


@given(st.integers(0, 9), st.integers(1, 9), st.integers(1, 4))
def test_a_stream_sees_all_that_it_read_before(before: int, new: int, block_tokens: int) -> None:
    slots: Indices = np.arange(100, 100 + before + new)
    other = Segment.of_stream(8, [5, 5], 0, read_last=True)
    stream = Segment.of_stream(7, list(range(new)), before, read_last=True)
    layout = lay_out([other, stream], {7: slots, 8: np.array([3, 4])}, block_tokens)
    seen = seen_by_row_token(layout, kept=True)
    assert [seen[2 + n] for n in range(new)] == [
        set(slots[: before + n + 1].tolist()) for n in range(new)
    ]
    assert layout.joins[0].tolist() == list(range(2 + new))
    assert layout.joins[1].tolist() == [3, 4, *slots[before:].tolist()]
    assert layout.read.tolist() == [1, 1 + new]
    assert layout.positions.tolist() == [0, 1, *range(before, before + new)]
