import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.graph.concept import Concept, concept_key, strip_determiners


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Hot  Dog", "hot dog"),
        ("hot_dog", "hot dog"),
        ("  a\u00a0b ", "a b"),
        ("ＡＢＣ", "abc"),
        ("Straße", "strasse"),
        ("ﬁsh", "fish"),
        ("日本", "日本"),
        ("don't_stop", "don't stop"),
    ],
)
def test_key_is_nfkc_casefolded_with_single_spaces(text: str, key: str) -> None:
    assert concept_key(text) == key


@given(st.text())
def test_key_of_a_key_is_itself(text: str) -> None:
    assert concept_key(concept_key(text)) == concept_key(text)


def test_concepts_are_told_apart_by_key_and_shown_as_typed() -> None:
    assert Concept.of("New_York") == Concept.of("new york")
    assert hash(Concept.of("New York")) == hash(Concept.of("NEW YORK"))
    assert Concept.of("New_York").text == "New York"


@pytest.mark.parametrize(
    ("text", "bare"),
    [("my dog", "dog"), ("the  my dog", "dog"), ("An apple", "apple"), ("the", "the"), ("dogma", "dogma")],
)
def test_leading_articles_and_possessives_are_stripped(text: str, bare: str) -> None:
    assert strip_determiners(text) == bare
