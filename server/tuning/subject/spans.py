"""Runs of a query's words that may name a concept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from server.graph.checks import is_concept_name
from server.graph.concept import concept_key
from server.tuning.subject.english import (
    ASKING_VERBS,
    FORMS_OF_BE,
    FRAME_NOUNS,
    FULL_VERB_AUXILIARIES,
    FUNCTION_WORDS,
    PARTICLES,
    PHRASE_VERBS,
    PLAIN_ADJECTIVES,
    POSSESSIVES,
)
from server.tuning.subject.words import Word, text_of

MAX_SPAN_WORDS = 8
"""A longer run of words is not looked up. The longest heads that people ask for have six."""


@dataclass(frozen=True, slots=True)
class Span:
    """The words from `first` to `last` (inclusive), their text, and the keys to look them up by."""

    first: int
    last: int
    text: str
    key: str = field(init=False)
    singulars: tuple[str, ...] = field(init=False)
    """Keys that it may be the plural of."""
    verbs: tuple[str, ...] = field(init=False)
    """Keys that it may be the -ing form of."""

    def __post_init__(self) -> None:
        key = concept_key(self.text)
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "singulars", tuple(_singulars_of(key)))
        object.__setattr__(self, "verbs", tuple(_verbs_of(key)))

    @property
    def words(self) -> int:
        return self.last - self.first + 1


def candidate_spans(words: Sequence[Word]) -> list[Span]:
    """The runs of up to MAX_SPAN_WORDS words that neither start nor end with a function word.

    A verb phrase may start with one ("have breakfast") and may end with a particle ("wake up").
    """
    spans: list[Span] = []
    for first, word in enumerate(words):
        if word.is_function and word.key not in PHRASE_VERBS:
            continue
        for last in range(first, min(first + MAX_SPAN_WORDS, len(words))):
            if last > first and words[last].breaks:
                break
            ends_in_particle = (
                words[last].key in PARTICLES and last > first and not words[last - 1].is_function
            )
            if not words[last].is_function or ends_in_particle:
                spans.append(Span(first, last, text_of(words, first, last)))
    return spans


def in_full(span: Span, words: Sequence[Word]) -> Span | None:
    """The span with the 's that its last word has, which may belong to the name ("McDonald's")."""
    if not words[span.last].owns:
        return None
    ending = words[span.last].owning.removeprefix(words[span.last].text)
    return Span(span.first, span.last, span.text + ending)


# What somebody owns


def owned_spans(words: Sequence[Word]) -> list[Span]:
    """The noun phrases after "my", "our", ...: what somebody owns.

    In "my piano teacher's birthday" it is the teacher, in "my sister's car" the sister's car.
    """
    spans = []
    for at, word in enumerate(words[:-1]):
        if word.key in POSSESSIVES and (span := _noun_phrase(words, at)) is not None:
            spans.append(span)
    return spans


def _noun_phrase(words: Sequence[Word], possessive: int) -> Span | None:
    # Skip plain adjectives: "my old dog" is the dog.
    first = possessive + 1
    while (
        first + 1 < len(words)
        and words[first].key in PLAIN_ADJECTIVES
        and not words[first + 1].is_function
    ):
        first += 1
    is_noun = not words[first].is_function or words[first].key in PLAIN_ADJECTIVES
    if words[first].breaks or not is_noun:
        return None

    # Go on to the last word of the phrase, without a verb or adjective behind the noun.
    last = first
    while last + 1 < len(words) and _goes_on(words[last + 1]) and last - first + 1 < MAX_SPAN_WORDS:
        last += 1
    if last > first and not words[last - 1].owns and _ends_in_predicate(words, possessive, last):
        last -= 1

    # Stop at an owner whose property is asked for: "my sister's birthday".
    owner = next((n for n in range(first, last) if words[n].owns), None)
    if owner is not None and words[owner + 1].key in FRAME_NOUNS:
        last = owner
    return Span(first, last, text_of(words, first, last))


def _goes_on(word: Word) -> bool:
    """Whether a noun phrase may go on with this word."""
    return not (word.breaks or word.is_function or word.key in ASKING_VERBS)


def _ends_in_predicate(words: Sequence[Word], possessive: int, last: int) -> bool:
    """Whether the last word of the run after a possessive is a verb or adjective, not a noun.

    It is in "does my brother move" and "is my cat scared of".
    """
    asked_with = words[possessive - 1].key if possessive else ""
    following = [word.key for word in words[last + 1 :]]
    if asked_with in FULL_VERB_AUXILIARIES:
        return not (following and following[0] in ASKING_VERBS | FORMS_OF_BE | {"have", "do"})
    if asked_with in FORMS_OF_BE:
        # "what is my cat scared of", "what is my dog able to do"
        dangling = len(following) > 0 and all(key in FUNCTION_WORDS for key in following)
        # "what instrument is my ..."
        asked_for_noun = possessive > 1 and not words[possessive - 2].is_function
        ending = words[last].key[-3:]
        return dangling or ending.endswith("ed") or (ending == "ing" and asked_for_noun)
    return False


# Where nothing is known


def content_run(words: Sequence[Word]) -> Span | None:
    """The rightmost run of content words that do not belong to the question itself.

    It is at most as long as a concept's text may be.
    """
    last = next((n for n in reversed(range(len(words))) if _is_content(words[n])), None)
    if last is None:
        return None
    first = last
    while (
        first > 0
        and _is_content(words[first - 1])
        and not words[first].breaks
        and last - first + 1 < MAX_SPAN_WORDS
    ):
        if not is_concept_name(text_of(words, first - 1, last)):
            break
        first -= 1
    return Span(first, last, text_of(words, first, last))


def _is_content(word: Word) -> bool:
    return not word.is_function and not word.asks and is_concept_name(word.text)


# Inflected forms


def _singulars_of(key: str) -> list[str]:
    """The keys that the last word of a key may be the plural of. The graph knows more (FormOf)."""
    forms = []
    if key.endswith("ies") and len(key) > 4:
        forms.append(key[:-3] + "y")
    if key.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        forms.append(key[:-2])
    if key.endswith("s") and not key.endswith("ss") and len(key) > 3:
        forms.append(key[:-1])
    return forms


def _verbs_of(key: str) -> list[str]:
    """The keys whose first word may be in its -ing form ("playing chess" -> "play chess")."""
    verb, _, rest = key.partition(" ")
    if not verb.endswith("ing") or len(verb) < 6:
        return []
    stem = verb[:-3]
    bases = [stem, stem + "e"]
    if stem[-1] == stem[-2]:
        bases.append(stem[:-1])
    return [f"{base} {rest}".strip() for base in bases]
