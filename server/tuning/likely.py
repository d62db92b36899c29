"""Texts found by the words that they share with a query, before the model has read either.

Where Retrieve is to ask the model only once, what is worth a question has to be known before the
query's key is (docs/decisions/0024-retrieving-in-one-pass.md).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from server.graph.concept import concept_key
from server.tuning.subject.words import query_words

_PLAIN = str.maketrans(dict.fromkeys(".,;:!?()[]\"'", " "))
_SHORTEST_PLURAL = 4


class WordSearch:
    """Finds texts by their words. All of them are one string, so a search is a few scans of it."""

    def __init__(self, texts: Iterable[str]) -> None:
        lines = [f" {concept_key(text).translate(_PLAIN)}" for text in texts]
        self._whole = "".join(lines)
        self._ends = list(accumulate(map(len, lines)))

    def find(self, words: Iterable[str]) -> Iterator[int]:
        """The numbers of the texts with a word that begins with one of `words`, in their order.

        Those with the rarest word come first. A text may come more than once.
        """
        beginnings = {f" {word}" for word in words}
        for beginning in sorted(beginnings, key=lambda text: (self._whole.count(text), text)):
            at = self._whole.find(beginning)
            while at >= 0:
                number = bisect_right(self._ends, at)
                yield number
                at = self._whole.find(beginning, self._ends[number])


def content_words(query: str) -> Sequence[str]:
    """The words of a query that tell what it is about, without the ending of a plural."""
    words = [word for word in query_words(query) if not (word.is_function or word.asks)]
    return [_singular(word.key) for word in words]


def _singular(word: str) -> str:
    return word.removesuffix("s") if len(word) >= _SHORTEST_PLURAL else word
