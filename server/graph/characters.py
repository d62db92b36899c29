"""What kinds of characters a text consists of, and how many bytes it takes.

Lines of a graph file are checked with these functions, millions of them, so plain ASCII takes a
short cut where there is one.
"""

from __future__ import annotations

import unicodedata

BLANK_CONTROLS = frozenset("\t\n\r")
"""Control characters that texts of several lines may hold."""
BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They change the direction of the text after them."""

_SIGNS = frozenset("#%&@§")
"""Punctuation to Unicode, but read as words."""
_EMPTY_BRAILLE = "\u2800"


def is_letter_or_digit(char: str) -> bool:
    """Whether `char` is a letter or a number of any script."""
    return unicodedata.category(char)[0] in "LN"


def is_symbol(char: str) -> bool:
    """Whether `char` is a symbol that means something by itself, such as "+", "€" or an emoji."""
    if char in _SIGNS:
        return True
    return unicodedata.category(char) in ("Sm", "Sc", "So") and char != _EMPTY_BRAILLE


def is_control(char: str) -> bool:
    """Whether `char` is a control character (C0 or C1), tabs and line ends included."""
    return unicodedata.category(char) == "Cc"


def has_half_character(text: str) -> bool:
    """Whether `text` holds a lone surrogate: JSON can write one, UTF-8 cannot."""
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)


def bytes_of(text: str) -> int:
    """The length of `text` in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def printable(text: str) -> str:
    """`text` without control characters, except tabs and line ends."""
    return "".join(c for c in text if not is_control(c) or c in BLANK_CONTROLS)
