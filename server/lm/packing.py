"""Packs many short continuations of shared prompts into as few tokens as possible.

Each (prompt, continuation) text of a request is a token sequence. In a tree of them, each common
beginning is there once. A tree is laid flat in depth-first order, so the tokens below a token
follow it without a gap. A token's position is its depth, and it sees the tokens before it whose
branch it is in. A sequence's last token is predicted and never read. Drafts of a generation
(server.lm.drafts) are packed alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """One prompt with one continuation, which starts at the token `scored_from`, at least 1."""

    tokens: tuple[int, ...]
    scored_from: int

    @property
    def read(self) -> tuple[int, ...]:
        """The tokens that the model reads: all but the last, which is only predicted."""
        return self.tokens[:-1]


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of tokens laid flat.

    tokens, positions, ends: (length,). `ends[i]` is where the branch below token i ends: token j
    sees token i exactly when i <= j < ends[i]. `paths` gives, for each sequence in the tree, its
    index in the request and the places of its tokens, all but the last.
    """

    tokens: Indices
    positions: Indices
    ends: Indices
    paths: tuple[tuple[int, tuple[int, ...]], ...]

    def mask(self) -> npt.NDArray[np.bool_]:
        """Which token sees which: itself and its ancestors. (length, length)"""
        return seen(np.arange(len(self.tokens)), np.arange(len(self.tokens)), self.ends)


def seen(queries: Indices, keys: Indices, ends: Indices) -> npt.NDArray[np.bool_]:
    """Which of `queries` (rows) sees which of `keys` (columns) in a tree with these `ends`.
    (queries, keys)"""
    sees: npt.NDArray[np.bool_] = (keys[None, :] <= queries[:, None]) & (
        queries[:, None] < ends[keys][None, :]
    )
    return sees


def pack(
    sequences: Sequence[TokenSequence], budget: int, numbers: Sequence[int] | None = None
) -> list[Tree]:
    """Pack `sequences`, or only those of `numbers`, into trees of at most `budget` tokens.

    A sequence that is longer gets a tree of its own. Neighbours in token order go into the same
    tree, where they share the most. What a tree's first sequence shares with the tree before is
    computed again.
    """
    order = sorted(
        range(len(sequences)) if numbers is None else numbers, key=lambda n: sequences[n].tokens
    )
    trees, builder = [], _TreeBuilder()
    for number in order:
        tokens = sequences[number].read
        if builder.length and builder.length + builder.cost(tokens) > budget:
            trees.append(builder.tree())
            builder = _TreeBuilder()
        builder.add(number, tokens)
    if order:
        trees.append(builder.tree())
    return trees


def whole_tree(paths: Sequence[tuple[int, ...]]) -> Tree:
    """One tree of `paths`, in which their last tokens are read too."""
    builder = _TreeBuilder()
    for number in sorted(range(len(paths)), key=lambda n: paths[n]):
        builder.add(number, paths[number])
    return builder.tree()


_MOST_READ_AGAIN = 0.25
"""A tree is cut only where what its rest reads again is at most this share of the first part."""


def fitting(tree: Tree, room: int) -> int:
    """How many tokens of `tree` to read first, where it has to be cut to `room` tokens.

    Whole paths, as many as fit. 0 if too much would be read again after each cut that fits.
    """
    fits = tokens = 0
    for (_, path), (_, following) in pairwise(tree.paths):
        tokens = max(tokens, path[-1] + 1)
        if tokens > room:
            break
        read_again = common_prefix(path, following)
        if following[-1] >= tokens and read_again <= _MOST_READ_AGAIN * tokens:
            fits = tokens
    return fits


def cut_tree(tree: Tree, tokens: int) -> tuple[Tree, list[int]]:
    """The tree of the first `tokens` tokens (see `fitting`), and the sequences that it leaves."""
    first = [(number, path) for number, path in tree.paths if path[-1] < tokens]
    left = [number for number, path in tree.paths if path[-1] >= tokens]
    ends = np.minimum(tree.ends[:tokens], tokens)
    return Tree(tree.tokens[:tokens], tree.positions[:tokens], ends, tuple(first)), left


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many items `a` and `b` have in common at the start.

    Compares slices, which is fast even for thousands of tokens.
    """
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while high - low > 1:  # the first `low` items are equal, the first `high` are not
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low


class _TreeBuilder:
    """Builds one tree from sequences in token order, each sharing its start with the one before."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._positions: list[int] = []
        self._ends: list[int] = []
        self._path: list[int] = []
        """The places of the tokens in the branch that is still open."""
        self._branch: tuple[int, ...] = ()
        """Those tokens."""
        self._paths: list[tuple[int, tuple[int, ...]]] = []

    @property
    def length(self) -> int:
        return len(self._tokens)

    def cost(self, tokens: tuple[int, ...]) -> int:
        """How many tokens the tree would grow by."""
        return len(tokens) - self._shared(tokens)

    def add(self, number: int, tokens: tuple[int, ...]) -> None:
        shared = self._shared(tokens)
        if shared < len(tokens):
            self._close(shared)
            self._branch = tokens
        for depth in range(shared, len(tokens)):
            self._path.append(len(self._tokens))
            self._tokens.append(tokens[depth])
            self._positions.append(depth)
            self._ends.append(0)
        self._paths.append((number, tuple(self._path[: len(tokens)])))

    def tree(self) -> Tree:
        self._close(0)
        tokens, positions, ends = (
            np.array(values, dtype=np.int64)
            for values in (self._tokens, self._positions, self._ends)
        )
        return Tree(tokens, positions, ends, tuple(self._paths))

    def _close(self, depth: int) -> None:
        """End everything below `depth` in the open branch."""
        for node in self._path[depth:]:
            self._ends[node] = len(self._tokens)
        del self._path[depth:]

    def _shared(self, tokens: tuple[int, ...]) -> int:
        return common_prefix(self._branch, tokens)
