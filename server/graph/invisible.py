"""Characters that show nothing, and the few places where such a character counts.

Joiners (U+200C, U+200D) and tags (U+E0020 to U+E007F) show nothing by themselves. Between some
letters and emoji a joiner changes what is seen, and tags after a black flag make the flag of a
region. There they are kept.
"""

from __future__ import annotations

import re
import unicodedata

# Unicode's Default_Ignorable_Code_Point, annotation marks, and control characters that are not
# blanks. Joiners and tags are not among them: whether they count depends on the text around them.
_RANGES = (
    (0x00, 0x08),
    (0x0E, 0x1B),
    (0x7F, 0x84),
    (0x86, 0x9F),
    (0xAD, 0xAD),
    (0x34F, 0x34F),
    (0x61C, 0x61C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200B),
    (0x200E, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE001F),
    (0xE0080, 0xE0FFF),
)
_BRAILLE_BLANK = 0x2800


def _table() -> dict[int, str | None]:
    table: dict[int, str | None] = {_BRAILLE_BLANK: " "}
    for first, last in _RANGES:
        table.update(dict.fromkeys(range(first, last + 1)))
    return table


INVISIBLE = _table()
"""For str.translate: characters that show nothing, and what stands for them (None: nothing)."""

VARIATION_SELECTORS = {
    *range(0x180B, 0x180E),
    0x180F,
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
}
"""They choose the form of the character before them: one text in two looks."""

UNDECIDED = re.compile("[\u200c\u200d\U000e0020-\U000e007f]")
"""Joiners and tags."""

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_TAGS = re.compile(
    "(?P<flag>\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)|[\U000e0020-\U000e007f]+"
)
"""Tags behind a black flag make a region's flag (Scotland's). Elsewhere they show nothing."""
_VIRAMA = 9
_CURSIVE = re.compile(
    "[\u0620-\u074a\u074d-\u077f\u07ca-\u07ea\u0840-\u0858\u0860-\u08c9\u1820-\u18aa]"
)
_ENDS_A_STROKE = re.compile(
    "[\u0621-\u0625\u0627\u0629\u062f-\u0632\u0648\u0671-\u0677\u0688-\u0699\u06c0"
    "\u06c3-\u06cb\u06cd\u06cf\u06d2\u06d3\u06d5\u06ee\u06ef\u0710\u0715-\u0719\u071e\u0728"
    "\u072a\u072c\u072f\u0759-\u075b\u076b\u076c]"
)
"""Letters of those scripts that never join the next one: keeping them apart changes nothing."""


def has_invisible(text: str) -> bool:
    """Whether `text` holds characters that show nothing, so that another text could look like it.

    Variation selectors and control characters are such characters. Blanks are not, and neither are
    joiners where they change what is seen (in emoji, in Indic and in cursive scripts).
    """
    return visible(text) != text


def visible(text: str) -> str:
    """`text` without the characters that show nothing."""
    if text.isascii() and text.isprintable():
        return text
    return without_joiners(text.translate(INVISIBLE))


def without_joiners(text: str) -> str:
    """`text` without the joiners and tags that change nothing of what is seen."""
    if not UNDECIDED.search(text):
        return text
    text = _TAGS.sub(lambda found: found["flag"] or "", text)
    return "".join(
        char
        for at, char in enumerate(text)
        if char not in (_ZWNJ, _ZWJ) or _joiner_counts(text, at)
    )


def is_pictorial(character: str) -> bool:
    """Whether a character can be part of an emoji.

    That is a symbol, a skin tone, or the arrows of a shaken head.
    """
    return (
        unicodedata.category(character) == "So"
        or character in "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff↔"
    )


def _joiner_counts(text: str, at: int) -> bool:
    """Whether the joiner at `at` changes what is seen."""
    # Next to a virama it does: it makes conjuncts, half forms and chillus.
    before, after = at - 1, at + 1
    while before >= 0 and (mark := unicodedata.combining(text[before])):
        if mark == _VIRAMA:
            return True
        before -= 1
    if before < 0 or after == len(text):
        return False
    if unicodedata.combining(text[after]) == _VIRAMA:
        return True
    # Between emoji, a joiner makes one picture of several.
    if text[at] == _ZWJ:
        return is_pictorial(text[before]) and is_pictorial(text[after])
    # Between two letters of a cursive script that would join, it keeps them apart.
    joins = _CURSIVE.match(text[before]) and not _ENDS_A_STROKE.match(text[before])
    return bool(joins and _CURSIVE.match(text[after]))
