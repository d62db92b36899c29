"""Many short continuations of shared prompts, as few rows of tokens that share every common beginning.

All (prompt, continuation) texts of a request are token sequences; put into a tree, each common beginning stands once.
A row is a tree laid flat in depth-first order: a token's position is its depth, and the mask lets it see its own branch
and nothing else, so that each branch is computed as if it stood alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """One prompt with one continuation. The tokens from `scored_from` on are the continuation's."""

    tokens: tuple[int, ...]
    scored_from: int


@dataclass(frozen=True, slots=True)
class Row:
    """A tree of tokens laid flat.

    tokens, positions, parents: (length,); parents[i] < i, -1 for a root. `paths` gives, for each sequence in the row, its
    index in the request and where its tokens stand.
    """

    tokens: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    parents: npt.NDArray[np.int64]
    paths: tuple[tuple[int, tuple[int, ...]], ...]

    def mask(self) -> npt.NDArray[np.bool_]:
        """Which token sees which: itself and its ancestors. (length, length)"""
        length = len(self.tokens)
        seen = np.zeros((length, length), dtype=np.bool_)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                seen[node] = seen[parent]
            seen[node, node] = True
        return seen


def pack(sequences: Sequence[TokenSequence], row_tokens: int) -> list[Row]:
    """Rows that hold all of `sequences`, each of at most `row_tokens` tokens (or one sequence, if that is longer).

    Neighbours in token order go into the same row, so that they share the most; what a row's first sequence shares with
    the row before is computed again.
    """
    order = sorted(range(len(sequences)), key=lambda n: sequences[n].tokens)
    rows, builder = [], _RowBuilder()
    for number in order:
        tokens = sequences[number].tokens
        if builder.length and builder.length + builder.cost(tokens) > row_tokens:
            rows.append(builder.row())
            builder = _RowBuilder()
        builder.add(number, tokens)
    if builder.length:
        rows.append(builder.row())
    return rows


class _RowBuilder:
    """Lays sequences that come in token order into one row: each shares its beginning with the one before."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._positions: list[int] = []
        self._parents: list[int] = []
        self._paths: list[tuple[int, tuple[int, ...]]] = []
        self._last_tokens: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        return len(self._tokens)

    def cost(self, tokens: tuple[int, ...]) -> int:
        """How many tokens the row grows by."""
        return len(tokens) - self._shared(tokens)

    def add(self, number: int, tokens: tuple[int, ...]) -> None:
        shared = self._shared(tokens)
        path = list(self._paths[-1][1][:shared]) if self._paths else []
        for depth in range(shared, len(tokens)):
            self._parents.append(path[-1] if path else -1)
            path.append(len(self._tokens))
            self._tokens.append(tokens[depth])
            self._positions.append(depth)
        self._paths.append((number, tuple(path)))
        self._last_tokens = tokens

    def row(self) -> Row:
        tokens, positions, parents = (
            np.array(values, dtype=np.int64) for values in (self._tokens, self._positions, self._parents)
        )
        return Row(tokens, positions, parents, tuple(self._paths))

    def _shared(self, tokens: tuple[int, ...]) -> int:
        shared = 0
        for a, b in zip(self._last_tokens, tokens, strict=False):
            if a != b:
                break
            shared += 1
        return shared
