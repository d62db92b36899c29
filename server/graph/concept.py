"""Concepts: what triples connect, and how text becomes the key of one.

The key is what makes two texts one concept. It ignores case, the width and the composition of
characters, how often a blank or an underscore stands, which of their forms an apostrophe, a quote,
a hyphen or a minus has, and characters that show nothing.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

KEYS_VERSION = 2
"""Of the rule that `concept_key` follows. What keeps keys, or a log in which they tell triples
apart, says it."""

ARTICLES = frozenset({"a", "an", "the"})
POSSESSIVES = frozenset({"my", "your", "his", "her", "its", "our", "their", "mine", "whose"})
DETERMINERS = ARTICLES | POSSESSIVES

# Unicode's Default_Ignorable_Code_Point, annotation marks, and control characters but those that
# are blanks. The joiners (U+200C, U+200D) and the tags (U+E0020 to U+E007F) are listed apart:
# within some texts they count.
_INVISIBLE_RANGES = (
    (0x00, 0x08), (0x0E, 0x1B), (0x7F, 0x84), (0x86, 0x9F), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C),
    (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200B), (0x200E, 0x200F), (0x202A, 0x202E),
    (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE001F), (0xE0080, 0xE0FFF),
)  # fmt: skip
_BRAILLE_BLANK = 0x2800
_INVISIBLE: dict[int, str | None] = {
    _BRAILLE_BLANK: " ",
    **{code: None for first, last in _INVISIBLE_RANGES for code in range(first, last + 1)},
}
_VARIATION_SELECTORS = {
    *range(0x180B, 0x180E),
    0x180F,
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
}
"""They choose a form of the character before them: one text in two looks, so they do not count in
keys."""

_ONE_SIGN = {
    # Typed, typographic, as a modifier letter, as a prime, as a stray accent, Armenian, Hebrew
    "'": "\u2019\u2018\u201a\u201b\u02bb\u02bc\u02bd\u2032\u2035\u00b4\u1ffd\u055a\u05f3",
    '"': "\u201c\u201d\u201e\u201f\u2033\u2036\u301d\u301e\u301f\u05f4",
    "-": "\u2010\u2011\u2212",
}
_FOLDED = {**_INVISIBLE, **{ord(form): sign for sign, forms in _ONE_SIGN.items() for form in forms}}

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_UNDECIDED = re.compile("[\u200c\u200d\U000e0020-\U000e007f]")
_TAGS = re.compile(
    "(?P<flag>\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)|[\U000e0020-\U000e007f]+"
)
"""Tags after a black flag make the flag of a region (Scotland's); anywhere else they show nothing.
"""
_VIRAMA = 9
_CURSIVE = re.compile(
    "[\u0620-\u074a\u074d-\u077f\u07ca-\u07ea\u0840-\u0858\u0860-\u08c9\u1820-\u18aa]"
)
_ENDS_A_STROKE = re.compile(
    "[\u0621-\u0625\u0627\u0629\u062f-\u0632\u0648\u0671-\u0677\u0688-\u0699\u06c0\u06c3-\u06cb\u06cd\u06cf"
    "\u06d2\u06d3\u06d5\u06ee\u06ef\u0710\u0715-\u0719\u071e\u0728\u072a\u072c\u072f\u0759-\u075b\u076b\u076c]"
)
"""Letters of those scripts that never join the next one, so that keeping them apart changes
nothing."""


def concept_key(text: str) -> str:
    """The key of the concept that `text` names; empty where the text names none.

    NFKC and casefolded, runs of blanks and underscores as one space, one form of apostrophe, quote,
    hyphen and minus, nothing that does not show.
    """
    if text.isascii() and text.isprintable():  # nothing in it has another form
        return _spaced(text.casefold())
    visible = _without_joiners(text.translate(_FOLDED))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
    key = _spaced(folded.translate(_FOLDED))
    # What a joiner stands between may be something else now.
    return key if key == text or not _UNDECIDED.search(key) else concept_key(key)


def legacy_key(text: str) -> str:
    """The key that `text` had before KEYS_VERSION 2, which knew NFKC, case and blanks only."""
    return _spaced(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()))


def legacy_spellings(key: str) -> tuple[str, ...]:
    """Keys under which a base loaded before KEYS_VERSION 2 may keep the concept of `key`, the
    likeliest first.

    With each sign in each of its other forms; characters that show nothing could be anywhere and
    are not tried.
    """
    spellings = [
        key.replace(sign, form)
        for sign, forms in _ONE_SIGN.items()
        if sign in key
        for form in forms
    ]
    if '"' in key:
        spellings.append(re.sub('"([^"]*)"', "\u201c\\1\u201d", key))
    if key and _is_pictorial(key[-1]):
        spellings.append(f"{key}\ufe0f")
    return tuple(dict.fromkeys(legacy_key(spelling) for spelling in spellings if spelling != key))


def one_form(text: str) -> str:
    """`text` with everything in the one form that keys have, but for its case."""
    if text.isascii() and text.isprintable():
        return _spaced(text)
    visible = _without_joiners(text.translate(_FOLDED))
    return _spaced(unicodedata.normalize("NFKC", visible).translate(_FOLDED))


def has_invisible(text: str) -> bool:
    """Whether `text` holds characters that show nothing, so that another text could look like it.

    Joiners where they change what is seen (emoji, Indic and cursive scripts) are not among them.
    Variation selectors and control characters are; blanks are not.
    """
    return (
        not (text.isascii() and text.isprintable())
        and _without_joiners(text.translate(_INVISIBLE)) != text
    )


def _spaced(text: str) -> str:
    """`text` with one space for each run of blanks and underscores, and none at its ends."""
    return " ".join(text.replace("_", " ").split())


def _without_joiners(text: str) -> str:
    """`text` without the joiners and tags that change nothing of what is seen."""
    if not _UNDECIDED.search(text):
        return text
    text = _TAGS.sub(lambda found: found["flag"] or "", text)
    return "".join(
        c for at, c in enumerate(text) if c not in (_ZWNJ, _ZWJ) or _joiner_counts(text, at)
    )


def _joiner_counts(text: str, at: int) -> bool:
    """Whether the joiner at `at` changes what is seen.

    It does next to a virama (conjuncts, half forms, chillus); between emoji (one picture of
    several); and between two letters of a cursive script that would join (Persian plurals).
    """
    before, after = at - 1, at + 1
    while before >= 0 and (mark := unicodedata.combining(text[before])):
        if mark == _VIRAMA:
            return True
        before -= 1
    if before < 0 or after == len(text):
        return False
    if unicodedata.combining(text[after]) == _VIRAMA:
        return True
    if text[at] == _ZWJ:
        return _is_pictorial(text[before]) and _is_pictorial(text[after])
    joins = _CURSIVE.match(text[before]) and not _ENDS_A_STROKE.match(text[before])
    return bool(joins and _CURSIVE.match(text[after]))


def _is_pictorial(character: str) -> bool:
    """Whether a character may be part of an emoji: a symbol, a skin tone, or the arrows of a shaken
    head."""
    return (
        unicodedata.category(character) == "So"
        or character in "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff↔"
    )


def _shown(text: str) -> str:
    """`text` as people see it: blanks as in its key, and nothing at its ends that does not show."""
    if text.isascii() and text.isprintable():
        return _spaced(text)
    start, end = 0, len(text)
    while start < end and _is_idle(text[start]):
        start += 1
    while start < end and _is_idle(text[end - 1]):
        end -= 1
    return _spaced(text[start:end] + _last_shaped(text[start:end], text[end:]))


def _is_idle(character: str) -> bool:
    """Whether a character shows nothing where no other stands before it."""
    return (
        character.isspace()
        or character == "_"
        or ord(character) in _INVISIBLE
        or bool(_UNDECIDED.match(character))
    )


def _last_shaped(text: str, rest: str) -> str:
    """Of the idle characters `rest` behind `text`, those that change the look of its last one."""
    if rest and ord(rest[0]) in _VARIATION_SELECTORS:
        return rest[0]
    rest = rest.translate(_INVISIBLE)
    return (
        _without_joiners(text + rest)[len(_without_joiners(text)) :]
        if _UNDECIDED.search(rest)
        else ""
    )


def strip_determiners(text: str) -> str:
    """`text` without its leading articles and possessives ("my dog" -> "dog"); unchanged if nothing
    else is there.

    One before a capital or a figure is part of a name and stays: "The Who", "My Chemical Romance",
    "the 1975".
    """
    words = text.split()
    start = 0
    while start < len(words) and words[start].casefold() in DETERMINERS:
        start += 1
    if start == len(words) or not _is_small(words[start]):
        return text.strip()
    return " ".join(words[start:])


def _is_small(word: str) -> bool:
    """Whether a word begins with a letter that is not a capital, or of a script that has none."""
    return word[0].isalpha() and not word[0].isupper() and not word[0].istitle()


@dataclass(frozen=True, slots=True, order=True)
class Concept:
    """A concept, told apart by `key` alone; `text` is what people see.

    Build one with `Concept.of`, which derives the key.
    """

    key: str
    text: str = field(compare=False)

    @classmethod
    def of(cls, text: str) -> Concept:
        """The concept that `text` names, shown as it was typed.

        Underscores and runs of blanks become one space, and what shows nothing is taken from its
        ends.
        """
        return cls(concept_key(text), _shown(text))

    def __str__(self) -> str:
        return self.text


def legacy_concept(text: str) -> Concept:
    """The concept that `text` named before KEYS_VERSION 2."""
    return Concept(legacy_key(text), _spaced(text))
