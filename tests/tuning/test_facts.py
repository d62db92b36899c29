from server.graph.neighborhood import Neighborhood
from server.graph.relation import Vocabulary
from server.graph.triple import Stamp, Triple
from server.tuning.facts import (
    RetrievalRules,
    facts_for_answer,
    possible_companions,
    retrievable_view,
)
from server.tuning.objective import Probabilities
from tests.tuning.views import NEAR, TAUGHT, view, z

RELATIONS = {"Desires": 0.5, "AtLocation": 0.3, "IsA": 0.2, "Synonym": 0.9}


def near(seen: Neighborhood) -> Probabilities:
    """The query is about all personal triples, as much about one as about the other."""
    return Probabilities(RELATIONS, scopes={v.triple: NEAR for v in seen if v.is_personal})


def tails(
    seen: Neighborhood, known: Probabilities | None = None, rules: RetrievalRules | None = None
) -> list[str]:
    facts = facts_for_answer(seen, known or near(seen), rules or RetrievalRules())
    return [v.triple.tail.text for v in facts]


def test_facts_go_down_the_relations_heaviest_first_up_to_three() -> None:
    assert tails(view({"Desires": ["meat", "bones"], "AtLocation": ["kennel", "park"]})) == [
        "meat",
        "bones",
        "kennel",
    ]


def test_the_bases_facts_come_behind_the_personal_ones_and_none_of_their_relation() -> None:
    base = {"Desires": ["meat", "bones"], "AtLocation": ["kennel"]}
    assert tails(view(base, {"Desires": ["carrots", "fish"]})) == ["carrots", "fish", "kennel"]
    assert tails(view(base, {"AtLocation": ["sofa"]})) == ["sofa", "meat", "bones"]


def test_a_personal_triple_that_the_query_is_not_about_is_not_a_fact() -> None:
    seen = view({"Desires": ["meat"]}, {"AtLocation": ["sofa"], "Desires": ["carrots"]})
    assert tails(seen, Probabilities(RELATIONS)) == ["meat"]
    assert tails(seen, Probabilities(RELATIONS, scopes={z("AtLocation", "sofa"): NEAR})) == [
        "sofa",
        "meat",
    ]


def test_the_largest_scope_weight_comes_first_and_the_newest_among_equal_ones() -> None:
    seen = view({}, {"AtLocation": ["sofa"], "Desires": ["carrots"], "IsA": ["clown"]})
    known = near(seen).with_scopes({z("IsA", "clown"): TAUGHT})
    assert tails(seen, known) == ["clown", "sofa", "carrots"]
    newest = seen.with_added(z("Desires", "carrots"), Stamp(2, 0))
    assert tails(newest, known) == ["clown", "carrots", "sofa"]


def test_all_values_of_the_first_relation_come_even_beyond_the_number_of_facts() -> None:
    sons = ["Noor", "Emil", "Tove", "Ada", "Ben"]
    seen = view({"IsA": ["pet"]}, {"HasA": sons, "AtLocation": ["sofa"]})
    first = z("HasA", "Tove")
    known = near(seen).with_scopes({first: TAUGHT})
    assert tails(seen, known) == ["Tove", "Noor", "Emil", "Ada", "Ben"]
    assert tails(seen, known, RetrievalRules(values=2)) == ["Tove", "Noor", "sofa"]
    more = ["Tove", "Noor", "Emil", "Ada", "Ben", "sofa", "pet"]
    assert tails(seen, known, RetrievalRules(facts=7)) == more


def test_the_same_relation_of_another_concept_does_not_take_the_bases_place() -> None:
    milk = Triple.of("cat", "Desires", "milk")
    seen = view({"Desires": ["meat"]}).with_added(milk, Stamp(1, 0))
    assert tails(seen) == ["milk", "meat"]


def test_equal_relations_come_in_the_order_of_their_names() -> None:
    same = Probabilities({"Desires": 0.5, "AtLocation": 0.5})
    assert tails(view({"Desires": ["meat"], "AtLocation": ["kennel"]}), same) == ["kennel", "meat"]


def test_a_companion_of_an_added_triple_is_found_before_it_is_added() -> None:
    """Whatever is a fact next to an added triple was among its possible companions."""
    seen = view(
        {"Desires": ["meat", "bones", "walks"], "AtLocation": ["kennel", "park"]},
        {"IsA": ["clown"]},
    )
    added = z("Desires", "fish")
    known = near(seen).with_scopes({added: TAUGHT})
    facts = facts_for_answer(seen.with_added(added, Stamp(2, 0)), known, RetrievalRules())
    for asked in (near(seen), None):
        companions = [v.triple for v in possible_companions(seen, asked, RetrievalRules())]
        assert {v.triple for v in facts} - {added} <= set(companions)


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
