"""What asks in a text: a long message keeps its question, and loses the small talk around it."""

from __future__ import annotations

from server.tuning.subject.words import asking_sentences, query_words

WORDINGS = " <sep> "
"""Stands between the wordings of a text that has several, all of which ask for the same."""
MOST_WORDS = 60
MOST_CHARACTERS = 600


def question_of(text: str) -> str:
    """`text`, or, of a long one, the last sentence that asks; without any, its last sentence.

    It has at most MOST_WORDS words and MOST_CHARACTERS characters, the last ones of that sentence.
    """
    text = text.strip()
    if len(text) <= MOST_CHARACTERS and len(text.split()) <= MOST_WORDS:
        return text
    words = query_words(text)
    asking = asking_sentences(words, text)
    last = max(asking) if asking else words[-1].sentence if words else 0
    chosen = [word for word in words if word.sentence == last][-MOST_WORDS:]
    if not chosen:
        return text[-MOST_CHARACTERS:]
    end = text.index("?", chosen[-1].end) + 1 if asking else len(text)
    return text[chosen[0].start : end].strip()[-MOST_CHARACTERS:]
