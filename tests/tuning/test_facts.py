from server.graph.neighborhood import Neighborhood
from server.graph.relation import Vocabulary
from server.tuning.facts import RetrievalRules, facts_for_answer, retrievable_view
from tests.tuning.views import view

RELATIONS = {"Desires": 0.5, "AtLocation": 0.3, "IsA": 0.2, "Synonym": 0.9}


def tails(seen: Neighborhood, rules: RetrievalRules | None = None) -> list[str]:
    facts = facts_for_answer(seen, RELATIONS, rules or RetrievalRules())
    return [v.triple.tail.text for v in facts]


def test_facts_go_down_the_relations_heaviest_first_up_to_three() -> None:
    assert tails(view({"Desires": ["meat", "bones"], "AtLocation": ["kennel", "park"]})) == [
        "meat",
        "bones",
        "kennel",
    ]


def test_a_relation_with_personal_triples_gives_only_those_newest_first() -> None:
    seen = view(
        {"Desires": ["meat", "bones"], "AtLocation": ["kennel"]}, {"Desires": ["carrots", "fish"]}
    )
    assert tails(seen) == ["carrots", "fish", "kennel"]


def test_personal_triples_move_their_relation_up_by_the_weight() -> None:
    seen = view({"Desires": ["meat", "bones", "toys"]}, {"AtLocation": ["sofa"]})
    assert tails(seen) == ["sofa", "meat", "bones"]
    assert tails(seen, RetrievalRules(personal_weight=1)) == ["meat", "bones", "toys"]


def test_equal_relations_come_in_the_order_of_their_names() -> None:
    same = {"Desires": 0.5, "AtLocation": 0.5}
    seen = view({"Desires": ["meat"], "AtLocation": ["kennel"]})
    assert [v.triple.tail.text for v in facts_for_answer(seen, same, RetrievalRules())] == [
        "kennel",
        "meat",
    ]


def test_relations_between_words_are_not_facts_unless_asked_for_or_added() -> None:
    vocabulary = Vocabulary.built_in()
    seen = view({"Synonym": ["hound"], "IsA": ["pet"]})
    assert [s.relation for s in retrievable_view(seen, vocabulary).slices] == ["IsA"]
    assert [s.relation for s in retrievable_view(seen, vocabulary, {"Synonym"}).slices] == [
        "IsA",
        "Synonym",
    ]
    own = retrievable_view(view({"Synonym": ["hound"]}, {"Synonym": ["doggo"]}), vocabulary)
    assert [v.triple.tail.text for v in own] == ["doggo"]
    assert own.count == 1
