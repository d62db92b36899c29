"""Proper names in a query ("Danielle Darrieux", "Edwin of Northumbria")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from server.graph.concept import ARTICLES
from server.tuning.subject.english import (
    NAME_CONNECTORS,
    NAME_MODALS,
    POSSESSIVES,
    QUESTION_WORDS,
    TITLES,
)
from server.tuning.subject.known import Entries, best_known
from server.tuning.subject.spans import Span
from server.tuning.subject.words import Word, starts_sentence

_NO_NAME_BEFORE = ARTICLES | POSSESSIVES | QUESTION_WORDS | {"me", "us", "some", "to", ""}
"""A capitalised word at the start of a sentence is a verb where one of these follows."""


def proper_name_spans(words: Sequence[Word], query: str) -> list[Span]:
    """The longest runs of capitalised words, joined by the small words that names contain.

    None in a query without small letters.
    """
    if not any(c.islower() for c in query):
        return []
    spans = []
    at = 0
    while at < len(words):
        if not _may_start_name(words, at, query):
            if words[at].is_function and _may_be_name(words, at):
                spans.append(Span(at, at, words[at].text))
            at += 1
            continue
        last = _name_end(words, at, query)
        end = _with_bracket(query, words[last].end)
        spans.append(Span(at, last, query[words[at].start : end]))
        at = last + 1
    return spans


def _may_start_name(words: Sequence[Word], at: int, query: str) -> bool:
    word = words[at]
    is_first = starts_sentence(words, at)
    goes_on = (
        at + 1 < len(words) and words[at + 1].is_capitalized and _adjacent(words, at + 1, query)
    )
    if word.text[:1].isdigit():
        return goes_on and not words[at + 1].is_function
    if not word.is_capitalized:
        return False
    if word.is_function:
        return goes_on and _may_be_name(words, at)
    return not (is_first and word.asks and not goes_on)


def _may_be_name(words: Sequence[Word], at: int) -> bool:
    """Whether a function word is written as a name is: "Will", inside a sentence."""
    word = words[at]
    is_first = starts_sentence(words, at)
    return word.is_capitalized and not is_first and word.key not in ARTICLES and len(word.key) > 1


def _name_end(words: Sequence[Word], first: int, query: str) -> int:
    last = first
    at = first + 1
    while at < len(words) and not words[last].owns and _adjacent(words, at, query):
        word = words[at]
        goes_on = at + 1 < len(words) and words[at + 1].is_capitalized
        written_as_name = word.is_capitalized or word.text[:1].isdigit()
        fits = not word.is_function or word.key in NAME_CONNECTORS | NAME_MODALS or goes_on
        if written_as_name and fits:
            last = at
        elif word.key not in NAME_CONNECTORS or at - last > 2:
            break
        at += 1
    return last


def _adjacent(words: Sequence[Word], at: int, query: str) -> bool:
    """Whether a name may go on from the word before `at` to this one.

    It may across a comma before a title or a figure ("Sir Thomas Buxton, 1st Baronet").
    """
    if starts_sentence(words, at):
        return False
    between = query[words[at - 1].end : words[at].start]
    if between.strip() == ",":
        return words[at].text[:1].isdigit() or words[at].key in TITLES
    return between.strip(" .:&‘’'“”\"-") == ""


def _with_bracket(query: str, end: int) -> int:
    """Where a name ends that goes on in brackets ("Chevrolet Camaro (first generation)")."""
    found = re.match(r"\s*\([^()]{1,40}\)", query[end:])
    return end + found.end() if found else end


# Capitals that are not names


def is_name(span: Span, words: Sequence[Word], query: str, entries: Entries) -> bool:
    """Whether a capitalised run is a name.

    A single word at the start of a sentence is not if it is a concept of the base, the plural of
    one ("Dogs are", but not "Mars is"), or an order ("Pinpoint the ..."). A single function word
    is only if people are called so ("Will"), or if the user has told something about it.
    """
    if span.words == 1 and words[span.first].is_function:
        known_as = entries.get(span.key)
        is_told = known_as is not None and known_as.personal_triples > 0
        return is_told or words[span.first].key in NAME_MODALS
    if span.words > 1 or not starts_sentence(words, span.first):
        return True
    word = words[span.last]
    following = words[span.last + 1].key if span.last + 1 < len(words) else ""
    takes_singular = following in ("is", "was", "has", "does")
    may_be_plural = not takes_singular and query[word.end : word.end + 1] != ","
    known = [span.key, *span.verbs, *(span.singulars if may_be_plural else ())]
    if any(entries[key].in_base for key in known if key in entries):
        return False
    return word.owns or following not in _NO_NAME_BEFORE


def begins_longer(span: Span, plain: Iterable[Span], entries: Entries) -> bool:
    """Whether a capitalised word is only the start of a concept ("Eating lunch requires")."""
    if span.words != 1:
        return False
    longer = (s for s in plain if s.first == span.first and s.last > span.last)
    return any(best_known(s, entries, verb=True) is not None for s in longer)
