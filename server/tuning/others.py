"""Whether a query is about somebody else than a fact about the user: "my sister's birthday"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from server.graph.concept import concept_key
from server.tuning.recall import Fact
from server.tuning.subject.choice import USER_CONCEPT
from server.tuning.subject.english import (
    FIRST_PERSON,
    FUNCTION_WORDS,
    PEOPLE,
    QUESTION_WORDS,
    THIRD_PERSON,
    USERS_OWN,
)

_WORD = re.compile(r"[\w'-]+")
_OF_ANOTHER = frozenset({"his", "her", "their", "its"})
_IS = QUESTION_WORDS | THIRD_PERSON | {"here", "there", "let"}
"""Words behind which 's is a verb."""
_USER_ACTS = FIRST_PERSON - USERS_OWN - {"me", "us", "myself"}
_SAYS_NOTHING = (FUNCTION_WORDS | QUESTION_WORDS | FIRST_PERSON).union(
    ["name", "named", "called", "first", "last", "full", "tell", "give", "remind", "say", "know"]
)
"""Words of a query that asks for nothing but who somebody is."""
_BEFORE_PEOPLE = 2
"""Between "my" and whose it is there may be such words as "younger"."""


class AskedOf:
    """Whom a query asks about, as far as its words say."""

    def __init__(self, query: str) -> None:
        self._words = _words(query)
        self._is_of_people = _asks_of_people(self._words)

    def is_another_than(self, fact: Fact) -> bool:
        """Whether a fact is about the user, and the query about somebody else.

        A fact that names people itself may be about them, and the query that taught it may have
        named somebody else's, too.
        """
        name = _words(fact.triple.head.key)
        if fact.owned and (before := _before(name, self._words)):
            taught = _before(name, _words(fact.text))
            return all(map(_is_possessive, before)) and not any(map(_is_possessive, taught))
        of_user = fact.owned or fact.triple.head == USER_CONCEPT
        return of_user and self._is_of_people and not _names_people(fact)


def _before(name: Sequence[str], words: Sequence[str]) -> list[str]:
    """The words before each place where `name` is among `words`; empty ones at their start."""
    places = (at for at in range(len(words)) if words[at : at + len(name)] == name)
    return [words[at - 1] if at else "" for at in places]


def _asks_of_people(words: Sequence[str]) -> bool:
    """Whether a query is about what the user's people do or have: "Where does my sister work?"

    Not what the user does ("How old was my mother when I was born?"), and not who they are.
    """
    people = {
        word
        for at, word in enumerate(words)
        if _person(word) and not USERS_OWN.isdisjoint(words[max(0, at - _BEFORE_PEOPLE) : at])
    }
    if not people or not _USER_ACTS.isdisjoint(words):
        return False
    asked = (_owner(word) for word in words if word not in people)
    return any(word not in _SAYS_NOTHING for word in asked)


def _names_people(fact: Fact) -> bool:
    return any(map(_person, _words(f"{fact.told} {fact.triple.tail.text}")))


def _person(word: str) -> bool:
    owner = _owner(word)
    return owner in PEOPLE or owner.removesuffix("s") in PEOPLE


def _owner(word: str) -> str:
    return word.removesuffix("'").removesuffix("'s")


def _is_possessive(word: str) -> bool:
    owner, sign, rest = word.rpartition("'")
    if not sign:
        return word in _OF_ANOTHER
    return (rest == "s" and owner not in _IS) or (rest == "" and owner.endswith("s"))


def _words(text: str) -> Sequence[str]:
    return _WORD.findall(concept_key(text))
