"""Concepts: what triples connect, and how text becomes the key of one."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

ARTICLES = frozenset({"a", "an", "the"})
POSSESSIVES = frozenset({"my", "your", "his", "her", "its", "our", "their", "mine", "whose"})
DETERMINERS = ARTICLES | POSSESSIVES


def concept_key(text: str) -> str:
    """The key of the concept that `text` names: NFKC, casefold, runs of spaces and underscores as one space."""
    if text.isascii():  # NFKC leaves it as it is
        return _spaced(text.casefold())
    return _spaced(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()))


def has_invisible(text: str) -> bool:
    """Whether `text` holds characters that show nothing, so that another text could look like it."""
    return any(unicodedata.category(c) == "Cf" or c in "\u034f\u115f\u1160\u3164\uffa0" for c in text)


def _spaced(text: str) -> str:
    """`text` with one space for each run of blanks and underscores, and none at its ends."""
    return " ".join(text.replace("_", " ").split())


def strip_determiners(text: str) -> str:
    """`text` without its leading articles and possessives ("my dog" -> "dog"); unchanged if nothing else is there."""
    words = text.split()
    start = 0
    while start < len(words) and words[start].casefold() in DETERMINERS:
        start += 1
    return " ".join(words[start:]) if start < len(words) else text.strip()


@dataclass(frozen=True, slots=True, order=True)
class Concept:
    """A concept, told apart by `key` alone; `text` is what people see.

    Build one with `Concept.of`, which derives the key.
    """

    key: str
    text: str = field(compare=False)

    @classmethod
    def of(cls, text: str) -> Concept:
        """The concept that `text` names, shown as it was typed (underscores and runs of blanks become one space)."""
        return cls(concept_key(text), _spaced(text))

    def __str__(self) -> str:
        return self.text
