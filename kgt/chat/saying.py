"""What a line that a user types is: a command, a question, a statement, or a correction.

It goes by the words alone, in English. A line that is taken for the wrong thing changes nothing
that `/undo` does not take back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SUBJECTS = frozenset(["i", "he", "she", "it", "they", "we", "you", "that", "this", "there"])
_OWNERS = frozenset(["my", "his", "her", "its", "their", "our", "your"])
_BEING = frozenset(["am", "is", "are", "was", "were", "be"])
_NAMING = frozenset(["name", "names", "named", "called"])
_HELPING = _BEING | frozenset([
    "do", "does", "did", "can", "could", "will", "would", "shall", "should", "may", "might", "must",
    "have", "has", "had",
])  # fmt: skip
_ASKING = frozenset(["what", "who", "whom", "whose", "which", "where", "when", "why", "how"])
_ASKING_IS = frozenset(f"{word}'s" for word in _ASKING)
_POINTING = frozenset(["it", "that", "this", "they", "there"])
_REFERRING = frozenset([
    "he", "him", "his", "she", "her", "hers", "it", "its", "they", "them", "their", "theirs",
    "that", "this",
])  # fmt: skip
_DENYING = frozenset(["not", "no", "never", "neither", "nor", "none", "cannot", "without"])
_LEADING = frozenset(["as", "at", "from", "in", "on", "to"])
_SHORT = frozenset(["'s", "'re", "'m"])
_TRAILING = re.compile(r",?\s+(?:now|instead|actually)$", re.IGNORECASE)
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+")
_CORRECTING = re.compile(
    r"(?:no|nope|wrong|actually|that(?:'s| is) (?:wrong|not (?:true|right)))"
    r"(?:\s*[,.:;!]+\s*|\s+[\u2013\u2014-]+\s+|$"
    rf"|\s+(?=(?:{'|'.join(sorted(_SUBJECTS | _OWNERS))})\b))",
    re.IGNORECASE,
)
"""No, and a mark or the subject of a sentence: "No vegetables" is not a correction."""


@dataclass(frozen=True, slots=True)
class Command:
    """A word after a slash."""

    name: str


@dataclass(frozen=True, slots=True)
class Correction:
    """What should have been answered; empty if the user only said no."""

    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """What the user states, and what they ask. Either may be empty."""

    statement: str
    question: str


def meaning(line: str) -> Command | Correction | Message:
    """What `line` is."""
    text = line.strip()
    if text.startswith("/"):
        return Command(text[1:].strip().casefold())
    said = _message(text)
    corrected = _CORRECTING.match(_plain(text))
    if corrected and not said.question:
        return Correction(text[corrected.end() :].strip())
    return said


def needs_context(statement: str) -> bool:
    """Whether a statement refers to somebody or something by a word like "he"."""
    return not _REFERRING.isdisjoint(_words(statement))


def answer_in(correction: str, question: str) -> str | None:
    """The answer that a correction gives to `question`, or None if it is a sentence of its own.

    What only repeats the question is left out: "he eats only vegetables" answers "What does my dog
    eat?" with "only vegetables". A sentence that does not begin with such words may be about
    something else, one that denies has no answer, and of two sentences only one can be the answer.
    """
    text = _bare(correction)
    words, asked = _words(text), _words(question)
    if _has_no_answer(text):
        return None
    after = _repeated(words, asked)
    if 0 < after < len(words):
        return _after(text, after)
    return None if _is_sentence(words, asked) else text


def rest_of_sentence(correction: str) -> str | None:
    """What follows a pronoun and its verb: "Porto" of "she moved to Porto". None without those."""
    text = _bare(correction)
    words = _words(text)
    if _has_no_answer(text) or len(words) < 3 or words[0] not in _SUBJECTS:
        return None
    return _after(text, 3 if len(words) > 3 and words[2] in _LEADING else 2)


def _bare(text: str) -> str:
    return text.strip().rstrip(".!").rstrip()


def _has_no_answer(text: str) -> bool:
    """Whether a text denies something, or has more than one sentence."""
    return ";" in text or len(_SENTENCE_ENDS.split(text)) > 1 or any(map(_denies, _words(text)))


def _after(text: str, words: int) -> str:
    """`text` without its first words, and without a word like "now" at its end."""
    return _TRAILING.sub("", text.split(None, words)[words])


def _repeated(words: Sequence[str], asked: Sequence[str]) -> int:
    """How many words at the beginning say no more than the question does.

    There is a verb among them: one that may stand before any answer, or a word of the question
    after its subject, which is a pronoun or another such word.
    """
    leading = _leading_to_answer(words, asked)
    after = repeated = 0
    has_verb = False
    for number, word in enumerate(words):
        stem, short = _shortened(word)
        if (short and "is" in leading) or stem in leading:
            after, has_verb = number + 1, True
        elif any(_alike(stem, other) for other in asked):
            after, repeated = number + 1, repeated + 1
        elif stem in _SUBJECTS:
            repeated += 1
        elif stem not in _OWNERS:
            break
    if not has_verb and repeated < 2:
        return 0
    if 0 < after < len(words) - 1 and words[after] in _LEADING:
        after += 1
    return after


def _leading_to_answer(words: Sequence[str], asked: Sequence[str]) -> frozenset[str]:
    """The verbs after which the answer may come, although the question has another form of them."""
    pointing = bool(words) and _shortened(words[0])[0] in _POINTING
    being = not (_BEING | _ASKING_IS).isdisjoint(asked)
    naming = "who" in asked or not _NAMING.isdisjoint(asked)
    return (_BEING if pointing or being else frozenset()) | (_NAMING if naming else frozenset())


def _alike(word: str, other: str) -> bool:
    """Whether they are forms of one word, such as "eats" and "eat". Little words do not count."""
    if min(len(word), len(other)) < 3 or word in _OWNERS | {"the", "and"}:
        return False
    return word.startswith(other) or other.startswith(word)


def _is_sentence(words: Sequence[str], asked: Sequence[str]) -> bool:
    shortened = [_shortened(word) for word in words]
    if any(short or stem in _HELPING for stem, short in shortened):
        return True
    if len(words) > 1 and words[0] in _SUBJECTS:
        return True
    return (
        words[0] in _OWNERS and len(words) > 3 and any(_alike(w, a) for w in words for a in asked)
    )


def _denies(word: str) -> bool:
    return word in _DENYING or word.endswith("n't")


def _shortened(word: str) -> tuple[str, bool]:
    """A word without a verb that hangs on it ("it's"), and whether one does."""
    stem, mark, rest = word.partition("'")
    short = stem in _SUBJECTS and mark + rest in _SHORT
    return (stem, True) if short else (word, False)


def _message(text: str) -> Message:
    sentences = _SENTENCE_ENDS.split(text)
    asked = [one for one in sentences if _is_question(one)]
    stated = [one for one in sentences if not _is_question(one)]
    return Message(" ".join(stated), " ".join(asked))


def _is_question(sentence: str) -> bool:
    """Whether a sentence asks, with or without a question mark."""
    if sentence.endswith("?"):
        return True
    words = _words(sentence)
    if not words or sentence.endswith("!"):
        return False
    if words[:2] == ["tell", "me"]:
        return True
    if words[0] in _ASKING_IS:
        return True
    if words[0] in _ASKING:
        return _asks(words)
    return words[0] in _HELPING and len(words) > 1 and words[1] in _SUBJECTS | _OWNERS | {"the"}


def _asks(words: Sequence[str]) -> bool:
    """Whether the verb stands before the subject: "when did I", but not "when I was young"."""
    for word in words[1:4]:
        if word in _HELPING or word in _SUBJECTS:
            return word in _HELPING
    return False


def _words(text: str) -> list[str]:
    """The words of `text` between blanks, without the marks around them."""
    return [word.strip(".,:;!?\"'()") for word in _plain(text).casefold().split()]


def _plain(text: str) -> str:
    """`text` with straight apostrophes, and as long."""
    return text.replace("\u2019", "'")
