"""Stored concepts under the keys of today."""

from __future__ import annotations

from server.graph.concept import Concept, legacy_concept
from server.graph.edit import Change, Edit, EditKind
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.rules.keys import concept_today, edit_today, log_today, triple_today

VOCABULARY = Vocabulary.built_in()
CURLY, STRAIGHT = legacy_concept("O’Hara"), legacy_concept("O'Hara")


def test_a_concept_is_stored_under_the_key_of_its_text() -> None:
    assert CURLY != STRAIGHT
    assert concept_today(CURLY) == concept_today(STRAIGHT) == Concept.of("O'Hara")


def test_a_concept_whose_key_would_be_empty_stays() -> None:
    stored = Concept("_", "_")
    assert Concept.of("_").key == ""
    assert concept_today(stored) is stored


def test_a_symmetric_triple_is_turned_where_its_keys_say_so() -> None:
    stored = Triple(Concept("zoo", "Ab"), "Antonym", Concept("b", "aa"))
    assert triple_today(stored, VOCABULARY) == Triple.of("aa", "Antonym", "ab")


def test_a_log_in_which_two_concepts_became_one_is_merged() -> None:
    def like(concept: Concept, revision: int) -> Edit:
        mark = Mark(Origin.ADDED, Stamp(revision, 0))
        triple = Triple(concept, "likes", Concept.of("tea"))
        change = Change(triple, None, mark)
        return Edit(f"e{revision}", revision, EditKind.FACTS, 1, (change,), relied_on=(triple,))

    first, second = log_today([like(CURLY, 1), like(STRAIGHT, 2)], VOCABULARY)
    assert edit_today(like(CURLY, 1), VOCABULARY) == first
    (change,) = second.changes
    assert change.triple == Triple.of("O'Hara", "likes", "tea")
    assert change.before == Mark(Origin.ADDED, Stamp(1, 0))
