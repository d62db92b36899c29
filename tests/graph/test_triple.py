from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.graph.triple import Triple, canonical, oriented, verbalize

VOCABULARY = Vocabulary.built_in()


def test_a_triple_is_verbalised_with_the_canonical_phrase() -> None:
    assert (
        verbalize(Triple.of("dog", "Desires", "Long Walks"), VOCABULARY) == "dog likes Long Walks"
    )
    assert (
        verbalize(Triple.of("Anna", "is allergic to", "nuts"), VOCABULARY)
        == "Anna is allergic to nuts"
    )


def test_what_the_user_owns_is_verbalised_as_theirs() -> None:
    triple = Triple.of("dog", "Desires", "carrots")
    assert verbalize(triple, VOCABULARY, owned=True) == "my dog likes carrots"


def test_a_symmetric_statement_has_one_stored_form_and_reads_from_both_ends() -> None:
    given = Triple.of("hot", "Antonym", "cold")
    stored = canonical(given, VOCABULARY)
    assert stored == Triple.of("cold", "Antonym", "hot")
    assert canonical(stored, VOCABULARY) == stored
    assert oriented(stored, Concept.of("hot"), VOCABULARY) == given
    assert oriented(stored, Concept.of("cold"), VOCABULARY) == stored


def test_a_directed_statement_is_never_turned() -> None:
    triple = Triple.of("zebra", "IsA", "animal")
    assert canonical(triple, VOCABULARY) == triple
    assert oriented(triple, Concept.of("animal"), VOCABULARY) == triple
