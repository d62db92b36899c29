"""The relation that a line's phrase stands for: a declared one where that says the same.

Many phrases lead to one declared relation, which is right for a graph of things and loses what
people say of themselves: "lives in" is more than AtLocation, and "eats" more than Desires.
"""

from __future__ import annotations

from server.graph.concept import concept_key
from server.graph.relation import Vocabulary, clean_relation_phrase

_WIDE = frozenset({"AtLocation", "HasProperty", "IsA", "InstanceOf"})
"""Declared relations that stand for their own phrase only."""
_OWN = frozenset(
    {
        "eats",
        "drinks",
        "wants",
        "wants to",
        "would like",
        "likes to",
        "likes to eat",
        "enjoys eating",
        "comes with",
        "contains",
        "includes",
    }
)
"""Phrases that say more than the declared relation they lead to."""
_SAME = {
    "moved to": "lives in",
    "has moved to": "lives in",
    "relocated to": "lives in",
    "resides in": "lives in",
    "is living in": "lives in",
    "live in": "lives in",
    "is employed by": "works at",
    "is employed at": "works at",
    "is working at": "works at",
    "is working as": "works as",
    "is married with": "is married to",
}
"""Phrases that are kept as another one, which is nearer to what asks for them."""
_ALIKE = {"is named": "is called", "has the name": "is called", "works for": "works at"}
"""Phrases that say the same as another one, and are kept as they are."""


def learned_relation(phrase: str, vocabulary: Vocabulary) -> str:
    """The name of the relation: a declared one, or the phrase in the form that is usual here."""
    cleaned = clean_relation_phrase(phrase.strip())
    key = concept_key(cleaned)
    if key in _SAME:
        return _SAME[key]
    name = vocabulary.relation_said(phrase)
    in_own_words = key in _OWN or (name in _WIDE and key != concept_key(vocabulary.phrase(name)))
    return concept_key(cleaned) if in_own_words and name in vocabulary else name


def declared_as(relation: str, vocabulary: Vocabulary) -> str:
    """What two relations have in common that say the same of somebody: "lives in", AtLocation."""
    if relation in vocabulary:
        return relation
    key = concept_key(relation)
    return vocabulary.relation_said(_SAME.get(key) or _ALIKE.get(key, relation))
