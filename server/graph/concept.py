"""Concepts, which triples connect, and the keys that make two texts one concept.

A key ignores case, the width and the composition of characters, runs of blanks and underscores, the
form of an apostrophe, quote, hyphen or minus, and characters that show nothing.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from server.graph.invisible import (
    INVISIBLE,
    UNDECIDED,
    VARIATION_SELECTORS,
    is_pictorial,
    without_joiners,
)

KEYS_VERSION = 2
"""The version of the rule in `concept_key`. Everything that keeps keys, or logs of triples that are
distinguished by keys, records it."""

ARTICLES = frozenset({"a", "an", "the"})
_WORD = re.compile(r"\w+")
POSSESSIVES = frozenset({"my", "your", "his", "her", "its", "our", "their", "mine", "whose"})
DETERMINERS = ARTICLES | POSSESSIVES

_ONE_SIGN = {
    # Typed, typographic, as a modifier letter, as a prime, as a stray accent, Armenian, Hebrew
    "'": "\u2019\u2018\u201a\u201b\u02bb\u02bc\u02bd\u2032\u2035\u00b4\u1ffd\u055a\u05f3",
    '"': "\u201c\u201d\u201e\u201f\u2033\u2036\u301d\u301e\u301f\u05f4",
    "-": "\u2010\u2011\u2212",
}
_FOLDED = {**INVISIBLE, **{ord(form): sign for sign, forms in _ONE_SIGN.items() for form in forms}}


def concept_key(text: str) -> str:
    """The key of the concept that `text` names; empty where the text names none.

    In NFKC and casefolded; each run of blanks and underscores is one space; apostrophes, quotes,
    hyphens and minuses have one form; characters that show nothing are gone.
    """
    if text.isascii() and text.isprintable():  # the short cut: nothing in it has another form
        return _spaced(text.casefold())
    visible = without_joiners(text.translate(_FOLDED))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
    key = _spaced(folded.translate(_FOLDED))
    # A joiner may have other neighbors now, so the rule is applied until nothing changes.
    return key if key == text or not UNDECIDED.search(key) else concept_key(key)


def words_in(text: str) -> list[str]:
    """The words of a text, as keys have them."""
    return _WORD.findall(concept_key(text))


def legacy_key(text: str) -> str:
    """The key that `text` had before KEYS_VERSION 2: only NFKC, case and blanks counted."""
    return _spaced(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()))


def legacy_spellings(key: str) -> tuple[str, ...]:
    """Keys that the concept of `key` may have in a base from before KEYS_VERSION 2.

    The likeliest come first. Each sign is tried in each of its other forms. Characters that show
    nothing could stand anywhere, so they are not tried.
    """
    spellings = []
    for sign, forms in _ONE_SIGN.items():
        if sign in key:
            spellings += [key.replace(sign, form) for form in forms]
    if '"' in key:
        spellings.append(re.sub('"([^"]*)"', "\u201c\\1\u201d", key))
    if key and is_pictorial(key[-1]):
        spellings.append(f"{key}\ufe0f")
    return tuple(dict.fromkeys(legacy_key(spelling) for spelling in spellings if spelling != key))


def one_form(text: str) -> str:
    """`text` in the one form that keys have, but with its case."""
    if text.isascii() and text.isprintable():
        return _spaced(text)
    visible = without_joiners(text.translate(_FOLDED))
    return _spaced(unicodedata.normalize("NFKC", visible).translate(_FOLDED))


def _spaced(text: str) -> str:
    """`text` with one space for each run of blanks and underscores, and none at the ends."""
    return " ".join(text.replace("_", " ").split())


def _shown(text: str) -> str:
    """`text` as people see it: single spaces, and nothing at the ends that does not show."""
    if text.isascii() and text.isprintable():
        return _spaced(text)
    # Cut what shows nothing from both ends, and put back what shapes the last character.
    start, end = 0, len(text)
    while start < end and _is_idle(text[start]):
        start += 1
    while start < end and _is_idle(text[end - 1]):
        end -= 1
    return _spaced(text[start:end] + _last_shaped(text[start:end], text[end:]))


def _is_idle(character: str) -> bool:
    """Whether a character shows nothing when no other stands before it."""
    return (
        character.isspace()
        or character == "_"
        or ord(character) in INVISIBLE
        or bool(UNDECIDED.match(character))
    )


def _last_shaped(text: str, rest: str) -> str:
    """The characters of `rest` that change the look of the last character of `text`.

    `rest` holds the idle characters behind `text`.
    """
    if rest and ord(rest[0]) in VARIATION_SELECTORS:
        return rest[0]
    rest = rest.translate(INVISIBLE)
    if not UNDECIDED.search(rest):
        return ""
    return without_joiners(text + rest)[len(without_joiners(text)) :]


def strip_determiners(text: str) -> str:
    """`text` without leading articles and possessives: "my dog" -> "dog".

    Before a capital letter or a digit they are part of a name and stay: "The Who", "My Chemical
    Romance", "the 1975". They also stay when there is nothing else.
    """
    words = text.split()
    start = 0
    while start < len(words) and words[start].casefold() in DETERMINERS:
        start += 1
    if start == len(words) or not _is_small(words[start]):
        return text.strip()
    return " ".join(words[start:])


def _is_small(word: str) -> bool:
    """Whether a word begins with a small letter, or with a letter of a script without capitals."""
    return word[0].isalpha() and not word[0].isupper() and not word[0].istitle()


@dataclass(frozen=True, slots=True, order=True)
class Concept:
    """A concept. Only `key` distinguishes it from others; `text` is what people see.

    Build one with `Concept.of`, which derives the key.
    """

    key: str
    text: str = field(compare=False)

    @classmethod
    def of(cls, text: str) -> Concept:
        """The concept that `text` names, shown as it was typed.

        Each run of blanks and underscores becomes one space, and characters that show nothing are
        cut from the ends.
        """
        return cls(concept_key(text), _shown(text))

    def __str__(self) -> str:
        return self.text


def legacy_concept(text: str) -> Concept:
    """The concept that `text` named before KEYS_VERSION 2."""
    return Concept(legacy_key(text), _spaced(text))
