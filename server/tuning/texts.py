"""When an answer says what was expected."""

from __future__ import annotations

import re
import unicodedata

from server.graph.concept import ARTICLES, strip_determiners

_PUNCTUATION = re.compile(r"[^\w\s]|_", re.UNICODE)


def normalized_answer(text: str) -> str:
    """`text` casefolded, without punctuation and leading articles, blanks collapsed."""
    words = _PUNCTUATION.sub(" ", unicodedata.normalize("NFKC", text).casefold()).split()
    while len(words) > 1 and words[0] in ARTICLES:
        words = words[1:]
    return " ".join(words)


def says(answer: str, expected: str) -> bool:
    """Whether `answer` is `expected`: it starts with it, both normalized, and not within a word."""
    given, wanted = normalized_answer(answer), normalized_answer(expected)
    if not wanted:
        return answer.strip().startswith(expected.strip()) and bool(expected.strip())
    if not given.startswith(wanted):
        return False
    rest = given[len(wanted) :]
    return not rest or rest[0] == " " or not (wanted[-1].isascii() and rest[0].isascii())


def object_text(answer: str) -> str:
    """The concept that a feedback names when the caller does not say: the answer without quotes, final stop, articles."""
    trimmed = answer.strip().strip("\"'“”‘’").rstrip(".!;,").strip()
    return strip_determiners(trimmed or answer.strip())
