"""The words of a query, and the sentences that they stand in."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from server.graph.concept import ARTICLES, concept_key
from server.tuning.subject.english import (
    ABBREVIATIONS,
    ASKING_VERBS,
    FRAME_NOUNS,
    FUNCTION_WORDS,
    QUESTION_WORDS,
)

_MAX_QUERY_WORDS = 200
"""Of a longer text the last ones before the last question mark, or before the text's end."""

# Vowel signs and accents may be characters of their own. They belong to the word, but \w knows only
# letters and digits.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u109f"
_LETTER = rf"(?:[^\W_]|[{_MARKS}])"
_WORD = re.compile(
    rf"(?:{_LETTER}\.){{2,}}|{_LETTER}+(?:[-'’.&/#]{_LETTER}+)*(?:[#+]+|(?<=s)['’](?=\s))?",
    re.UNICODE,
)
_OWNED = re.compile(r"['’]s$|(?<=s)['’]$")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the query without its possessive 's, and where it stands."""

    text: str
    key: str
    start: int
    end: int
    owns: bool
    """Whether 's follows."""
    sentence: int = 0
    """The number of its sentence in the query."""
    breaks: bool = False
    """Whether a comma or a sentence's end stands before it: no concept's text goes across that."""

    @property
    def is_function(self) -> bool:
        return self.key in FUNCTION_WORDS

    @property
    def asks(self) -> bool:
        """Whether the word belongs to the question rather than to what it is about."""
        return self.key in ASKING_VERBS or self.key in FRAME_NOUNS

    @property
    def owning(self) -> str:
        """The word with its possessive 's."""
        return self.text + ("'" if self.key.endswith("s") else "'s")

    @property
    def is_capitalized(self) -> bool:
        """Whether it is written as names are ("Anna", "al-Zubayr")."""
        if self.text[:1].isupper():
            return True
        return any(part[:1].isupper() for part in self.text.split("-")[1:])


def query_words(query: str) -> list[Word]:
    """The words of a query, in order. Of a long text, those that lead up to what asks."""
    return _words_of(_last_asking(list(_WORD.finditer(query)), query), query)


def all_words(text: str) -> list[Word]:
    """The words of a text, in order, however long it is."""
    return _words_of(list(_WORD.finditer(text)), text)


def _words_of(matches: Sequence[re.Match[str]], query: str) -> list[Word]:
    words: list[Word] = []
    for found in matches:
        whole = found.group()
        between = query[words[-1].end : found.start()] if words else ""
        key = concept_key(whole.replace("’", "'"))
        owns = bool(_OWNED.search(whole)) and key not in FUNCTION_WORDS
        text = _OWNED.sub("", whole) if owns else whole
        ends = bool(words) and _ends_sentence(words[-1], between, whole)
        words.append(
            Word(
                text,
                concept_key(text) if owns else key,
                found.start(),
                found.start() + len(text),
                owns,
                sentence=words[-1].sentence + ends if words else 0,
                breaks=ends or any(c in ",;:" for c in between),
            )
        )
    return words


def _last_asking(found: Sequence[re.Match[str]], query: str) -> Sequence[re.Match[str]]:
    """At most _MAX_QUERY_WORDS of the words that were found."""
    if len(found) <= _MAX_QUERY_WORDS:
        return found
    mark = query.rfind("?")
    end = bisect_left(found, mark, key=lambda word: word.start()) or len(found)
    return found[max(0, end - _MAX_QUERY_WORDS) : end]


def text_of(words: Sequence[Word], first: int, last: int) -> str:
    """The text of the words from `first` to `last` (inclusive), possessive 's included."""
    texts = []
    for number in range(first, last + 1):
        word = words[number]
        texts.append(word.owning if word.owns and number < last else word.text)
    return " ".join(texts)


# Sentences


def starts_sentence(words: Sequence[Word], at: int) -> bool:
    return at == 0 or words[at].sentence != words[at - 1].sentence


def asking_sentences(words: Sequence[Word], query: str) -> frozenset[int]:
    """The numbers of the sentences that end with a question mark."""
    ends = [*(w.start for w in words), len(query)][1:]
    return frozenset(
        w.sentence for w, end in zip(words, ends, strict=True) if "?" in query[w.end : end]
    )


def _ends_sentence(word: Word, between: str, following: str) -> bool:
    """Whether a sentence ends between a word and the next one.

    None does in "Dr. No" and "Star Trek: Voyager".
    """
    if any(c in "!?\n" for c in between):
        return True
    if following[:1].isupper() and concept_key(following) in ARTICLES | QUESTION_WORDS:
        return "." in between or word.text.endswith(".")
    return "." in between and len(word.key) > 1 and word.key not in ABBREVIATIONS
