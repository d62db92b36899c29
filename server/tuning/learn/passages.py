"""What is read at once: a few sentences of a message, and the clauses that its facts come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.graph.concept import words_in
from server.tuning.learn.moods import may_state
from server.tuning.subject.english import CLAUSE_SUBJECTS, FIRST_PERSON
from server.tuning.subject.words import all_words

MOST_SENTENCES = 3
MOST_WORDS = 60
"""What the model was taught to read at once. A longer sentence is a passage of its own."""
_JOINED = re.compile(
    r"(?:,|;)?\s+(?:and|but|so|because|while)\s+(?=(?:"
    + "|".join(sorted(CLAUSE_SUBJECTS))
    + r")\b)",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"(?:Q:)?\s*([^.!?\n]+\?)(?!.*\?)", re.DOTALL)
_ASIDE = re.compile(r",\s*(?:and )?not ([^,.;!?]+)(?:,|(?=[.;!?]|$))")
_QUOTES = frozenset('"“”')


@dataclass(frozen=True, slots=True)
class Passage:
    """A few sentences of a message, and what was said before them."""

    text: str
    context: str

    def clause_of(self, *names: str) -> str:
        """The part of the passage that has the most words of `names`; the first of several."""
        wanted = {word for name in names for word in words_in(name)}
        parts = list(clauses(self.read_as)) or [self.read_as]
        return max(parts, key=lambda part: len(wanted & set(words_in(part))))

    @property
    def read_as(self) -> str:
        """The text as it is read: without what it says is not so, as in "Petra, not Paula"."""
        return _ASIDE.sub("", self.text)

    @property
    def not_so(self) -> list[str]:
        """What the text says is not so, beside what is."""
        return [found.strip() for found in _ASIDE.findall(self.text)]

    @property
    def said(self) -> frozenset[str]:
        """The words of the passage, and of what was said before it."""
        return frozenset(words_in(f"{self.text} {self.context}"))

    @property
    def question(self) -> str:
        """The last question of what was said before; empty where nobody asked."""
        found = _QUESTION.search(self.context)
        return found[1].strip() if found else ""

    @property
    def answer(self) -> str:
        """What that question was answered with."""
        _, found, answer = self.context.rpartition("?")
        return answer.strip().removeprefix("A:").strip() if found else ""


def passages(text: str, context: str = "") -> list[Passage]:
    """The passages of a message, in order. What comes before one is the context of the next.

    Sentences that surely state nothing are not read.
    """
    parts: list[str] = []
    sentences = 0
    for sentence in filter(may_state, _sentences(_unquoted(text))):
        long = parts and len(parts[-1].split()) + len(sentence.split()) > MOST_WORDS
        if not parts or long or sentences == MOST_SENTENCES:
            parts.append(sentence)
            sentences = 1
        else:
            parts[-1] += f" {sentence}"
            sentences += 1
    before = [context, *parts]
    return [Passage(part, said) for part, said in zip(parts, before, strict=False)]


def speaks_of_user(text: str) -> bool:
    """Whether a word of the first person is in the text."""
    return any(word.key in FIRST_PERSON for word in all_words(text))


def _unquoted(text: str) -> str:
    """`text` without quotes around the whole of it."""
    text = text.strip()
    inner = text[1:-1].strip()
    is_quoted = text[:1] in _QUOTES and text[-1:] in _QUOTES and _QUOTES.isdisjoint(inner)
    return inner if inner and is_quoted else text


def _sentences(text: str) -> list[str]:
    words = all_words(text)
    starts = [
        word.start
        for at, word in enumerate(words)
        if at and word.sentence != words[at - 1].sentence
    ]
    return _cut(text, starts)


def clauses(text: str) -> Iterator[str]:
    """The sentences of a text, and of a sentence the parts that have a subject of their own."""
    for sentence in _sentences(text):
        yield from (part.strip() for part in _JOINED.split(sentence))


def _cut(text: str, at: Sequence[int]) -> list[str]:
    pieces = [
        text[start:end].strip() for start, end in zip([0, *at], [*at, len(text)], strict=True)
    ]
    return [piece for piece in pieces if piece]
