from __future__ import annotations

import json

import pytest

from server.errors import InvalidVocabulary
from server.graph.relation import Vocabulary

SMALL = """
[[relation]]
name = "Desires"
phrases = ["likes", "enjoys eating"]
aliases = ["DesireOf"]
[[relation]]
name = "Synonym"
phrases = ["means the same as"]
symmetric = true
retrievable = false
"""


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary.parse(SMALL)


@pytest.mark.parametrize(
    "said", ["likes", "Likes.", " 1. likes", "(2) likes", "- enjoys  eating;", "DESIRES", '"likes"']
)
def test_generated_text_that_is_a_phrase_is_its_relation(vocabulary: Vocabulary, said: str) -> None:
    assert vocabulary.relation_said(said) == "Desires"


def test_generated_text_that_is_no_phrase_is_a_personal_relation(vocabulary: Vocabulary) -> None:
    assert vocabulary.relation_said("3. Is Allergic to.") == "is allergic to"
    assert vocabulary.phrase("is allergic to") == "is allergic to"
    assert vocabulary.is_retrievable("is allergic to")


def test_generated_text_never_becomes_a_relation_between_words(vocabulary: Vocabulary) -> None:
    assert vocabulary.relation_said("means the same as") == "means the same as"


def test_callers_may_name_a_relation_by_name_alias_or_phrase(vocabulary: Vocabulary) -> None:
    assert [vocabulary.relation_named(t) for t in ("Synonym", "DesireOf", "enjoys eating")] == [
        "Synonym",
        "Desires",
        "Desires",
    ]


def test_built_in_vocabulary_holds_conceptnets_relations() -> None:
    names = {relation.name for relation in Vocabulary.built_in()}
    assert {"IsA", "Desires", "AtLocation", "FormOf", "ExternalURL", "dbpedia/capital"} <= names
    assert len(names) >= 50
    assert not Vocabulary.built_in().is_retrievable("FormOf")
    assert Vocabulary.built_in().is_symmetric("Antonym")


def table(name: str, *phrases: str, more: str = "") -> str:
    return f"[[relation]]\nname = {json.dumps(name)}\nphrases = {json.dumps(phrases)}\n{more}\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("no toml [", "not TOML"),
        ("", "not TOML"),
        ("relation = 5", "not TOML"),
        ("relation = [5]", "not TOML"),
        ('[relation]\nname = "A"', "not TOML"),
        (table("A"), "'A' needs"),
        ('[[relation]]\nname = 5\nphrases = ["a"]', "5 needs"),
        ('[[relation]]\nname = "A"\nphrases = "a"', "'A' needs"),
        (table("A", " a"), "outer blanks"),
        (table("A", "a", more="aliases = [5]"), "outer blanks"),
        (table("A", "a", more='aliases = "B"'), "outer blanks"),
        (table("A", "a", more="colour = 1"), "unknown keys: colour"),
        (table("A", "a") + table("A", "b"), "two relations"),
        (table("A", "a") + table("B", "b", more='aliases = ["A"]'), "two relations"),
        (table("A", "a") + table("B", "b", "A"), "given to A and to B"),
        (table("A", "is") + table("B", "is a"), "begins that of B"),
    ],
)
def test_a_vocabulary_that_contradicts_itself_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InvalidVocabulary, match=complaint):
        Vocabulary.parse(text)


def test_an_extension_does_not_take_phrases_from_relations_that_are_there(
    vocabulary: Vocabulary,
) -> None:
    more = vocabulary.extended(table("Eats", "eats", "Enjoys Eating", "devours"))
    assert more.get("Eats").phrases == ("eats", "devours")
    assert more.relation_said("enjoys eating") == "Desires"


def test_a_name_that_the_base_uses_names_itself_before_any_phrase(vocabulary: Vocabulary) -> None:
    base = vocabulary.with_base_names(["Owns", "Works_For", "likes", "Desires", "is a?"])
    for name in ("Owns", "Works_For", "likes", "Desires", "is a?"):
        assert base.relation_named(name) == name
        assert base.relation_named(f" {name} ") == name
    assert base.relation_named("DesireOf") == "Desires", "declared names and aliases come first"
    assert base.relation_named("Likes") == "Desires"
    assert base.uses("Owns")
    assert not base.uses("owns")
    assert "Owns" not in base, "it is not declared"


def test_a_base_of_declared_names_changes_no_fingerprint(vocabulary: Vocabulary) -> None:
    assert vocabulary.with_base_names(["Desires", "Synonym"]).fingerprint == vocabulary.fingerprint
    assert vocabulary.with_base_names([]).fingerprint == vocabulary.fingerprint
    own = vocabulary.with_base_names(["Owns", "Desires"])
    assert own.fingerprint != vocabulary.fingerprint
    assert own.fingerprint == vocabulary.with_base_names(["Desires", "Owns"]).fingerprint
    more = own.extended('[[relation]]\nname = "IsA"\nphrases = ["is a"]')
    assert more.relation_named("Owns") == "Owns"


@pytest.mark.parametrize(
    "text", ["1. 1. likes", "- (1) My Own", "WANTS", '"“quoted” thing"', "r_1: r_2: x", "Ⅷ. Ä"]
)
def test_the_name_of_a_relation_names_itself(text: str) -> None:
    vocabulary = Vocabulary.parse(SMALL + 'aliases = ["wants"]')
    name = vocabulary.relation_named(text)
    assert vocabulary.relation_named(name) == name
