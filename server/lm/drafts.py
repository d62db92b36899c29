"""Drafts of a continuation: tokens that are likely to come, read together with those before them.

One pass reads a tree of drafts behind the tokens that are certain, and has the model's own choice
after each of them. Where that choice is a token of the tree, it need not wait for a pass of its
own. What the model would have written without drafts is what it writes with them. Pure: no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

MOST_DRAFTED = 24
"""Tokens in the tree of one generation's drafts. On a processor a pass of one token takes about as
long as 24 further tokens in it, so a larger tree would have to save two passes. In lists of
relations, trees of 16 to 32 tokens cost the same time, and larger ones more (docs/performance.md).
"""

Path: TypeAlias = tuple[int, ...]


class Drafts:
    """A generation's drafts, and what was written so far.

    `texts` are the drafts' tokens, the likeliest first. What may follow is what follows in a draft
    after the last tokens written; the more of them a draft has in common, the likelier it goes on.
    """

    def __init__(self, texts: Sequence[Path] = ()) -> None:
        self._texts = list(dict.fromkeys(text for text in texts if text))
        self._written: list[int] = []

    def follow(self, token: int) -> None:
        """The continuation goes on with `token`."""
        self._written.append(token)

    def ahead(self, most: int, longest: int) -> list[Path]:
        """What may follow now, as paths of a tree of at most `most` tokens.

        No path has more than `longest` tokens. What is less likely is cut first.
        """
        if not self._written:
            likely = self._texts
        else:
            ranked = [
                (_common_end(text[:at], self._written), text[at:])
                for text in self._texts
                for at in range(1, len(text))
                if text[at - 1] == self._written[-1]
            ]
            likely = [rest for _, rest in sorted(ranked, key=lambda found: -found[0])]
        return within(most, (rest[:longest] for rest in likely))


def tokens_of(paths: Iterable[Path]) -> int:
    """The tokens of the tree that `paths` make."""
    return len({path[:n] for path in paths for n in range(1, len(path) + 1)})


def within(most: int, paths: Iterable[Path]) -> list[Path]:
    """The first of `paths`, as far as they make a tree of at most `most` tokens."""
    tree: set[Path] = {()}
    kept = []
    for path in paths:
        shared = len(path)
        while path[:shared] not in tree:
            shared -= 1
        cut = path[: shared + most - len(tree) + 1]
        if len(cut) > shared:
            tree.update(cut[:n] for n in range(shared + 1, len(cut) + 1))
            kept.append(cut)
    return kept


def _common_end(a: Sequence[int], b: Sequence[int]) -> int:
    """How many items `a` and `b` have in common at the end."""
    common = 0
    for one, other in zip(reversed(a), reversed(b), strict=False):
        if one != other:
            break
        common += 1
    return common
