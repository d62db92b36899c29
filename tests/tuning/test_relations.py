from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.tuning.relations import filled_up, parse_relations, personalized_triples

VOCABULARY = Vocabulary.built_in()


def test_generated_text_is_split_cleaned_mapped_and_deduplicated() -> None:
    text = (
        " likes <sep> 2. enjoys. <sep> is allergic to <sep><sep> 42"
        " <sep> Is Located In; <sep> has a"
    )
    assert parse_relations(text, VOCABULARY, 5) == (
        "Desires",
        "is allergic to",
        "AtLocation",
        "HasA",
    )
    assert parse_relations(text, VOCABULARY, 2) == ("Desires", "is allergic to")


def test_a_relation_too_long_to_store_is_dropped() -> None:
    assert parse_relations("x" * 65, VOCABULARY, 5) == ()


def test_fewer_than_k_are_filled_up_by_rank() -> None:
    assert filled_up(("Desires",), ["HasA", "Desires", "IsA"], 3) == ("Desires", "HasA", "IsA")
    assert filled_up(("Desires",), [], 3) == ("Desires",)


def test_h_is_one_triple_for_each_relation() -> None:
    dog, vegetables = Concept.of("dog"), Concept.of("vegetables")
    assert personalized_triples(dog, ("Desires", "HasA", "Desires"), vegetables) == (
        Triple(dog, "Desires", vegetables),
        Triple(dog, "HasA", vegetables),
    )
