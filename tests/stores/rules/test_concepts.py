"""Concepts of the base and of a user, put together."""

from __future__ import annotations

from server.graph.concept import Concept
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.rules.concepts import (
    BaseConcept,
    PersonalConcepts,
    all_concepts,
    concept_entries,
    personal_concepts,
)
from server.tuning.ports import ConceptEntry

REX = Triple.of("Rex", "IsA", "dog")
BALL = Triple.of("rex", "Desires", "ball")
CAT = Triple.of("Rex", "IsA", "cat")


def added(revision: int) -> Mark:
    return Mark(Origin.ADDED, Stamp(revision, 0))


def test_the_concepts_of_added_triples_are_personal() -> None:
    marks = {REX: added(1), BALL: added(2), CAT: Mark(Origin.REMOVED, Stamp(3, 0))}
    found = personal_concepts(marks, {"rex", "dog", "cat"})
    assert found == PersonalConcepts({"rex": ("rex", 2)}, {"dog": "dog"})


def test_an_entry_says_what_the_base_and_the_user_have() -> None:
    base = {"dog": BaseConcept("dog", 4), "dogs": BaseConcept("Dogs", 0, ("dog",))}
    personal = PersonalConcepts({"rex": ("Rex", 2), "dog": ("DOG", 1)}, {"rex": "REX", "b": "B"})
    entries = concept_entries(["b", "dog", "rex", "dogs", "b", "unknown"], base, personal)
    assert list(entries) == ["b", "dog", "rex", "dogs"]
    assert entries["b"] == ConceptEntry(Concept("b", "B"), False, 0, 0)
    assert entries["dog"] == ConceptEntry(Concept("dog", "dog"), True, 4, 1)
    assert entries["rex"] == ConceptEntry(Concept("rex", "Rex"), False, 0, 2)
    assert entries["dogs"] == ConceptEntry(Concept("dogs", "Dogs"), True, 0, 0, ("dog",))
    texts = {key: entry.concept.text for key, entry in entries.items()}
    assert texts == {"b": "B", "dog": "dog", "rex": "Rex", "dogs": "Dogs"}


def test_all_concepts_are_those_at_both_ends() -> None:
    assert all_concepts([REX, BALL]) == {Concept.of(text) for text in ("rex", "dog", "ball")}
