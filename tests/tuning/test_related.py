from server.graph.relation import Vocabulary
from server.tuning.related import RelatedRelations
from server.tuning.relations import parse_relations

VOCABULARY = Vocabulary.built_in()
RELATED = RelatedRelations.built_in()


def test_likely_relations_come_first_each_with_what_is_named_after_it() -> None:
    lists = RELATED.lists(["AtLocation", "is allergic to"], 3, VOCABULARY)
    assert lists[:2] == (
        " is located in <sep> is near <sep> is part of",
        " is allergic to <sep> is usually <sep> is defined as",
    )
    assert len(lists) == len(set(lists))


def test_every_relation_that_may_be_listed_begins_a_list() -> None:
    lists = RELATED.lists(["Desires"], 5, VOCABULARY)
    begun = {parse_relations(text, VOCABULARY, 5)[0] for text in lists}
    assert begun >= {relation.name for relation in VOCABULARY.retrievable()}


def test_a_list_has_at_most_k_relations_each_once() -> None:
    for k in (1, 2, 5):
        for text in RELATED.lists(["MadeOf", "Desires"], k, VOCABULARY):
            assert text.startswith(" ")
            named = text.split("<sep>")
            assert len(named) <= k
            assert len(set(named)) == len(named)


def test_the_relations_of_the_table_are_declared_or_phrases() -> None:
    for row in [*RELATED.relations.values(), *RELATED.kinds.values()]:
        for name in row:
            assert name in VOCABULARY or name.islower()
