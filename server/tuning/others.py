"""Whether a query names somebody else's of what is the user's own: "my sister's birthday"."""

from __future__ import annotations

import re

from server.graph.concept import concept_key
from server.tuning.recall import Fact
from server.tuning.subject.english import FIRST_PERSON, QUESTION_WORDS, THIRD_PERSON

_WORD = re.compile(r"[\w'-]+")
_OF_ANOTHER = frozenset({"his", "her", "their", "its"})
_OF_ANY = frozenset({"a", "an", "any", "every", "most"})
_IS = QUESTION_WORDS | THIRD_PERSON | {"here", "there", "let"}
"""Words behind which 's is a verb."""


def is_anothers(fact: Fact, query: str) -> bool:
    """Whether a fact is about the user's own, and the query about somebody else's or about any.

    A query that taught the fact may have named it in the same way.
    """
    name = fact.triple.head.key
    return fact.owned and _names_anothers(name, query) and not _names_anothers(name, fact.text)


def _names_anothers(name: str, query: str) -> bool:
    """Whether the words of `name` are in the query, and each time as somebody else's or as any."""
    words, named = _words(query), _words(name)
    places = [at for at in range(len(words)) if words[at : at + len(named)] == named]
    before = [words[at - 1] if at else "" for at in places]
    is_of_user = not FIRST_PERSON.isdisjoint(words)
    return bool(places) and all(
        _is_possessive(word) or (word in _OF_ANY and not is_of_user) for word in before
    )


def _is_possessive(word: str) -> bool:
    owner, sign, rest = word.rpartition("'")
    if not sign:
        return word in _OF_ANOTHER
    return (rest == "s" and owner not in _IS) or (rest == "" and owner.endswith("s"))


def _words(text: str) -> list[str]:
    return _WORD.findall(concept_key(text))
