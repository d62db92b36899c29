"""What a plain clause says, by its words: who, what about them, and the value."""

from __future__ import annotations

import re
from collections.abc import Sequence

from server.graph.concept import ARTICLES, concept_key
from server.tuning.learn.lines import Line
from server.tuning.subject.english import FORMS_OF_BE, POSSESSIVES
from server.tuning.subject.names import proper_name_spans
from server.tuning.subject.spans import Span, owned_spans
from server.tuning.subject.words import Word, all_words

_MOST_RELATION_WORDS = 7
_CONTRACTED = {"i'm": "is", "i've": "has", "we're": "are", "we've": "has"}
_SIDE_CLAUSE = re.compile(
    r";|,\s*(?:where|which|who|whose|while|but)\b"
    r"|,?\s+and\s+(?=(?:has|have|is|was|are|were|often|also|then|now|still)\b)"
)
_ADVERB = re.compile(r"\w+ly$|once$|both$|now$")
DENIES = re.compile(r"\b(?:not|never|no|nor|cannot|hardly)\b|n't\b")
_PARTICIPLE = re.compile(
    r"(?:\w+(?:ed|ing)|born|broken|built|chosen|driven|eaten|fallen|given|grown|held|hidden|kept"
    r"|known|made|seen|shown|sold|spoken|stolen|taken|thrown|worn|written)$"
)


def read_clause(text: str) -> Line | None:
    """The fact that a clause states: "My boss is called Petra." None unless it is of that form.

    The subject is the user, what is theirs, or a name, or several of them; it comes first.
    """
    text = text.strip()
    if text.endswith("?"):
        return None
    words = all_words(text)
    if not words:
        return None
    if (verb := _CONTRACTED.get(words[0].key)) is not None:
        return _line("I", f"{verb} {text[words[0].end :].strip()}")
    end = _subject_end(words, text)
    if end is None or end == len(words):
        return None
    subject = "I" if words[0].key in ("i", "we") and end == 1 else text[: words[end - 1].end]
    return _line(subject, text[words[end].start :])


def divided(predicate: str) -> tuple[str, str] | None:
    """(relation, object) of what is said about a subject: "is called Petra", "works as a nurse".

    The relation is the verb with what stands before it, and with the small words behind it.
    """
    predicate = _SIDE_CLAUSE.split(predicate)[0].strip(" .!,")
    words = all_words(predicate)
    at = _small_words(words, 0)
    if at < len(words) and _ADVERB.match(words[at].key):
        at = _small_words(words, at + 1)
    is_said_to_be = any(word.key in FORMS_OF_BE for word in words[:at])
    if is_said_to_be and at < len(words) and words[at].key in ("a", "an"):
        at += 1
    elif not is_said_to_be:
        at = _small_words(words, at + 1)
    elif at < len(words) and _is_participle(words[at]):
        # "is called Petra"; not "is green"
        behind = _small_words(words, at + 1)
        at = behind if behind < len(words) else at
    if not 0 < at < len(words) or at > _MOST_RELATION_WORDS:
        return None
    relation = predicate[: words[at - 1].end]
    return (
        None if DENIES.search(concept_key(relation)) else (relation, predicate[words[at].start :])
    )


def _is_participle(word: Word) -> bool:
    return not word.is_capitalized and bool(_PARTICIPLE.match(word.key))


def third_person(relation: str) -> str:
    """A relation that begins with a verb, as it is said of somebody: "speak" -> "speaks"."""
    verb, _, rest = relation.partition(" ")
    if verb == "have":
        verb = "has"
    elif re.search("(?:s|sh|ch|x|o)$", verb):
        verb += "es"
    else:
        verb = re.sub("(?<=[^aeiou])y$", "ie", verb) + "s"
    return f"{verb} {rest}".strip()


def in_full(name: str, text: str) -> str:
    """The whole of the name in `text` that `name` is the beginning or the end of, else `name`.

    "Edinburgh" in "the University of Edinburgh" is that university.
    """
    if not name[:1].isupper() or name == "I":
        return name
    for span in proper_name_spans(all_words(text), text):
        is_end = span.text.startswith(f"{name} ") or span.text.endswith(f" {name}")
        if is_end and all(word == "of" or word[:1].isupper() for word in span.text.split()):
            return span.text
    return name


def _line(subject: str, predicate: str) -> Line | None:
    parts = divided(predicate)
    return Line(True, subject, *parts) if parts is not None else None


def _small_words(words: Sequence[Word], at: int) -> int:
    """The place of the first word from `at` on that is not an auxiliary, adverb or preposition."""
    while at < len(words) and words[at].is_function:
        if words[at].key in ARTICLES | POSSESSIVES | {"like"} or words[at].is_capitalized:
            break
        at += 1
    return at


def _subject_end(words: Sequence[Word], text: str) -> int | None:
    """The place of the first word behind the subject; None where none of the known ones begins."""
    spans = {span.first: span for span in proper_name_spans(words, text)}
    spans |= {span.first - 1: span for span in owned_spans(words)}
    end = _one_subject(words, spans, 0)
    while end is not None and end < len(words):
        joined = text[words[end - 1].end : words[end].start].strip() == ","
        begins = end + 1 if words[end].key == "and" else end if joined else None
        further = None if begins is None else _one_subject(words, spans, begins)
        if further is None:
            break
        end = further
    return end


def _one_subject(words: Sequence[Word], spans: dict[int, Span], at: int) -> int | None:
    if at >= len(words):
        return None
    if words[at].key in ("i", "we"):
        return at + 1
    span = spans.get(at)
    if span is None:
        return None
    return span.last + 1
