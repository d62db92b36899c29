"""Facts found by the words that they share with a query, before the model has read either.

Where Retrieve is to ask the model only once, what is worth a question has to be known before the
query's key is (docs/decisions/0024-retrieving-in-one-pass.md).
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from server.graph.concept import concept_key
from server.graph.triple import Stamp
from server.tuning.subject.words import query_words

ANY = ""
"""Stands for the names of a fact that any query may be about."""
_PLAIN = str.maketrans(dict.fromkeys(".,;:!?()[]\"'", " "))
_SHORTEST_PLURAL = 4
_LAST = "\U0010ffff"
"""Behind every word with the same beginning."""


class Told(Protocol):
    """What is found by its words."""

    @property
    def stamp(self) -> Stamp:
        """No two have the same."""
        ...

    @property
    def told(self) -> str:
        """The text with the words."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Only queries that name one of these are about it; without any, every query may be."""
        ...


T = TypeVar("T", bound=Told)


class WordSearch(Generic[T]):
    """Finds facts by their words. It never changes: `changed` makes another one."""

    def __init__(self, facts: Iterable[T]) -> None:
        self._facts: dict[str, dict[str, list[T]]] = {}
        """By word and then by name, the oldest first."""
        occurring: list[str] = []
        for fact in sorted(facts, key=_age):
            words = concept_key(fact.told).translate(_PLAIN).split()
            occurring += words
            for word in set(words):
                by_name = self._facts.setdefault(word, {})
                for name in fact.names or (ANY,):
                    by_name.setdefault(name, []).append(fact)
        self._counts = Counter(occurring)
        self._words = sorted(self._counts)

    def find(self, words: Iterable[str], named: Collection[str]) -> Iterator[T]:
        """The facts with a word that begins with one of `words`, for a query that names `named`.

        Those with the rarest word come first, and then the newest. A fact may come more than once.
        """
        names = {ANY, *named}
        begun = {word: self._beginning_with(word) for word in words}
        counts = {word: sum(map(self._counts.__getitem__, begun[word])) for word in begun}
        for word in sorted(begun, key=lambda word: (counts[word], word)):
            by_names = (self._facts[longer] for longer in begun[word])
            lists = [by_name[name] for by_name in by_names for name in by_name.keys() & names]
            yield from heapq.merge(*map(reversed, lists), key=_age, reverse=True)

    def changed(self, removed: Collection[T], added: Collection[T]) -> WordSearch[T]:
        """The search without the facts `removed`, which it has, and with those `added`."""
        gone, new = WordSearch(removed), WordSearch(added)
        other: WordSearch[T] = WordSearch(())
        other._facts, other._words = self._facts.copy(), self._words.copy()
        other._counts = self._counts.copy()
        other._counts.subtract(gone._counts)
        other._counts.update(new._counts)
        for word in new._counts.keys() - self._counts.keys():
            insort(other._words, word)
        left_out = set(map(id, removed))
        for word in gone._counts.keys() | new._counts.keys():
            if not other._counts[word]:
                del other._counts[word], other._facts[word]
                del other._words[bisect_left(other._words, word)]
                continue
            by_name = dict(self._facts.get(word, {}))
            for name in gone._facts.get(word, ()):
                left = [fact for fact in by_name.pop(name) if id(fact) not in left_out]
                if left:
                    by_name[name] = left
            for name, facts in new._facts.get(word, {}).items():
                by_name[name] = by_name.get(name, []).copy()
                for fact in facts:
                    insort(by_name[name], fact, key=_age)
            other._facts[word] = by_name
        return other

    def _beginning_with(self, word: str) -> Sequence[str]:
        first = bisect_left(self._words, word)
        return self._words[first : bisect_right(self._words, word + _LAST, first)]


def _age(fact: Told) -> tuple[int, int]:
    return fact.stamp.revision, fact.stamp.position


def content_words(query: str) -> Sequence[str]:
    """The words of a query that tell what it is about, without the ending of a plural."""
    words = [word for word in query_words(query) if not (word.is_function or word.asks)]
    return [_singular(word.key) for word in words]


def _singular(word: str) -> str:
    return word.removesuffix("s") if len(word) >= _SHORTEST_PLURAL else word
