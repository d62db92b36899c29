"""One forward pass over many trees and generations: which tokens look at which keys, in blocks.

The linear layers see one row of tokens and do not care whose they are. Attention is computed in
blocks: a run of at most `block_tokens` tokens of one segment, against the keys that any of them can
see: their common ancestors and themselves. A block holds only keys of its own segment, so one
user's tree is out of another's reach by construction, and the cost grows with the number of tokens,
not with its square.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from server.lm.packing import Indices, Tree, seen

_ALIGNMENT = 8
"""The number of keys in a group is a multiple of this, because GPU kernels want aligned masks."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens of one tree, or the next tokens of one generation, in a forward pass.

    tokens, positions, ends: (length,), as in a Tree. `read` lists the tokens after which logits are
    wanted, ascending, and `keyed` those whose state is. `stream` names a generation: its tokens
    also see everything that the stream read before, and later ones see them. The last of them may
    be a tree, of which the stream then keeps one path. `learning` says that the tokens are of the
    learning template, which may have an adapter of its own.
    """

    tokens: Indices
    positions: Indices
    ends: Indices
    read: Indices
    stream: int | None = None
    keyed: Indices = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    learning: bool = False

    @classmethod
    def of_tree(cls, tree: Tree, read: Indices, keyed: Sequence[int] = ()) -> Segment:
        of = np.array(keyed, dtype=np.int64)
        return cls(tree.tokens, tree.positions, tree.ends, read, keyed=of)

    @classmethod
    def of_stream(
        cls, stream: int, tokens: Sequence[int], start: int, *, read_last: bool
    ) -> Segment:
        """The tokens of a generation from position `start` on."""
        length = len(tokens)
        return cls(
            np.array(tokens, dtype=np.int64),
            np.arange(start, start + length, dtype=np.int64),
            np.full(length, length, dtype=np.int64),
            np.array([length - 1] if read_last else [], dtype=np.int64),
            stream,
        )

    @classmethod
    def of_drafts(cls, stream: int, tree: Tree, start: int, unread: int) -> Segment:
        """The tokens of a generation from position `start` on, and drafts of what follows.

        The tree begins with the `unread` tokens that all drafts follow.
        """
        read = np.arange(unread - 1, len(tree.tokens), dtype=np.int64)
        return cls(tree.tokens, tree.positions + start, tree.ends, read, stream)

    def child(self, place: int, token: int) -> int | None:
        """The place of `token` right below the token at `place`; None if it is not there."""
        below = slice(place + 1, int(self.ends[place]))
        deeper = self.positions[below] == self.positions[place] + 1
        found = np.flatnonzero(deeper & (self.tokens[below] == token))
        return place + 1 + int(found[0]) if len(found) else None


@dataclass(frozen=True, slots=True)
class BlockGroup:
    """Blocks of similar shape, computed at once.

    queries: (blocks, queries), places in the row. keys: (blocks, keys), places in the row, or among
    the kept keys if `kept`. mask: (blocks, queries, keys). Blocks that are smaller than the group's
    shape are filled up with masked keys of their own, and with queries whose result is not used.
    """

    kept: bool
    queries: Indices
    keys: Indices
    mask: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Layout:
    """A forward pass: its row of tokens and its blocks.

    tokens, positions, places: (length,). `places` tells where each token's result is among the
    blocks' results. `read` lists the tokens after which logits are wanted, `keyed` those whose
    state is, `learning` those of the learning template. `joins` lists the tokens whose attention
    keys are kept, and the slots that they go to.
    """

    tokens: Indices
    positions: Indices
    read: Indices
    keyed: Indices
    learning: Indices
    groups: tuple[BlockGroup, ...]
    places: Indices
    joins: tuple[Indices, Indices]


@dataclass(frozen=True, slots=True)
class _Block:
    start: int
    """Its first query in the row."""
    kept: bool
    keys: Indices
    mask: npt.NDArray[np.bool_]

    @property
    def shape_class(self) -> tuple[bool, bool, int]:
        """Blocks of one class form a group, in which at most half of the keys are filling."""
        queries, keys = self.mask.shape
        return self.kept, queries > 1, max(5, int(keys - 1).bit_length())


def lay_out(segments: Sequence[Segment], slots: Mapping[int, Indices], block_tokens: int) -> Layout:
    """Lay out one forward pass over `segments`.

    `slots` gives the slots of all tokens of each stream, old and new.
    """
    blocks: list[_Block] = []
    read, keyed, joining, joined = [], [], [], []
    start = 0
    for segment in segments:
        length = len(segment.tokens)
        if segment.stream is None:
            blocks += _tree_blocks(segment, start, block_tokens)
        else:
            kept = slots[segment.stream]
            blocks += _stream_blocks(segment, start, kept, block_tokens)
            joining.append(np.arange(start, start + length))
            joined.append(kept[-length:])
        read.append(segment.read + start)
        keyed.append(segment.keyed + start)
        start += length
    groups, places = _grouped(blocks, start)
    return Layout(
        np.concatenate([s.tokens for s in segments]),
        np.concatenate([s.positions for s in segments]),
        np.concatenate(read),
        np.concatenate(keyed),
        np.flatnonzero(
            np.repeat([s.learning for s in segments], [len(s.tokens) for s in segments])
        ),
        groups,
        places,
        (_joined(joining), _joined(joined)),
    )


def _joined(parts: Sequence[Indices]) -> Indices:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _tree_blocks(segment: Segment, start: int, block_tokens: int) -> list[_Block]:
    """Blocks of a tree's tokens.

    The tokens are in depth-first order, so a run sees at most its first token's path and itself.
    """
    blocks = []
    for first in range(0, len(segment.tokens), block_tokens):
        run = np.arange(first, min(first + block_tokens, len(segment.tokens)))
        keys = np.concatenate([np.flatnonzero(segment.ends[:first] > first), run])
        blocks.append(_Block(start + first, False, keys + start, seen(run, keys, segment.ends)))
    return blocks


def _stream_blocks(segment: Segment, start: int, slots: Indices, block_tokens: int) -> list[_Block]:
    """Blocks of a generation's tokens.

    Each token sees all that was read in earlier passes, and of this one's tokens its own branch.
    """
    blocks = []
    before = len(slots) - len(segment.tokens)
    for first in range(0, len(segment.tokens), block_tokens):
        last = min(first + block_tokens, len(segment.tokens))
        run = np.arange(first, last)
        mask = np.ones((len(run), before + last), dtype=np.bool_)
        mask[:, before:] = seen(run, np.arange(last), segment.ends)
        blocks.append(_Block(start + first, True, slots[: before + last], mask))
    return blocks


def _grouped(blocks: Sequence[_Block], length: int) -> tuple[tuple[BlockGroup, ...], Indices]:
    """Group the blocks by shape.

    Also returns, for each of the row's `length` tokens, its place among all groups' results.
    """
    classes: dict[tuple[bool, bool, int], list[_Block]] = {}
    for block in blocks:
        classes.setdefault(block.shape_class, []).append(block)
    groups, places, offset = [], np.zeros(length, dtype=np.int64), 0
    for (kept, _, _), members in sorted(classes.items()):
        wide = max(b.mask.shape[0] for b in members)
        long = max(b.mask.shape[1] for b in members)
        if len(members) > 1 or not members[0].mask.all():  # else there will be no mask
            long = -(-long // _ALIGNMENT) * _ALIGNMENT
        queries = np.zeros((len(members), wide), dtype=np.int64)
        keys = np.zeros((len(members), long), dtype=np.int64)
        mask = np.zeros((len(members), wide, long), dtype=np.bool_)
        for number, block in enumerate(members):
            n, m = block.mask.shape
            queries[number] = block.start
            queries[number, :n] += np.arange(n)
            keys[number] = block.keys[0]
            keys[number, :m] = block.keys
            mask[number, :n, :m] = block.mask
            places[block.start : block.start + n] = offset + number * wide + np.arange(n)
        offset += queries.size
        groups.append(BlockGroup(kept, queries, keys, mask))
    return tuple(groups), places
