import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.graph.concept import Concept, concept_key, strip_determiners
from server.graph.invisible import has_invisible


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


TROUBLE = (
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202e\u2066\ufe0f\u034f\u3164\u1160\u2800"
    "\x00\x1b\x85\x9b\t _"
    "'\u2018\u2019\u02bc\u02bb\u2032\u2033\u00b4\u0149\u05f3\"\u201c\u201e"
    "-\u2010\u2011\u2212\u207b\u2013"
    "aE\u00e9\u0301\u0130\u1e9e\ufb01\u0915\u094d\u0937\u093c\u0d28\u0d4d"
    "\u06cc\u062e\u0627\u0647\u0651\u1100\u1161"
    "\u2764\U0001f525\U0001f469\U0001f3fd\U0001f3f4\U000e0067\U000e0062\U000e007f"
    "\u2139\u2122\u308b\u5165"
)
"""Characters whose form, width or neighbors normalisation changes, or that show nothing."""
texts = st.one_of(
    st.text(),
    st.text(st.sampled_from(TROUBLE)),
    st.text(st.one_of(st.sampled_from(TROUBLE), st.characters())),
)


@given(texts)
def test_key_of_a_key_is_itself(text: str) -> None:
    assert concept_key(concept_key(text)) == concept_key(text)


@given(texts)
def test_canonically_equivalent_texts_have_one_key(text: str) -> None:
    assert concept_key(unicodedata.normalize("NFD", text)) == concept_key(
        unicodedata.normalize("NFC", text)
    )


@given(texts)
def test_what_is_shown_is_the_same_concept_and_shown_the_same(text: str) -> None:
    shown = Concept.of(text).text
    assert concept_key(shown) == concept_key(text)
    assert Concept.of(shown).text == shown


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("O\u2019Hara", "O'Hara"),
        ("O\u2018Hara", "o'hara"),
        ("O\u02bcHara", "O'Hara"),
        ("O\u00b4Hara", "O'Hara"),
        ("Hawai\u02bbi", "Hawai\u2018i"),
        ("5\u2032 10\u2033", "5' 10\""),
        ("\u05d2\u05f3\u05d5\u05e8\u05d2\u05f3", "\u05d2'\u05d5\u05e8\u05d2'"),
        ("\u201cThe Raven\u201d", '"The Raven"'),
        ("\u201eDer Rabe\u201c", '"Der Rabe"'),
        ("well\u2010being", "well-being"),
        ("well\u2011being", "well-being"),
        ("\u221218", "-18"),
        ("10\u207b", "10-"),
        ("Zo\u200bra", "Zora"),
        ("\ufeffmango", "mango"),
        ("co\u00adoperate", "cooperate"),
        ("Zora\u200d", "Zora"),
        ("Zo\u200cra", "Zora"),
        ("\u200eZora\u200f", "Zora"),
        ("\u202eZora\u202c", "Zora"),
        ("\u2066Zora\u2069", "Zora"),
        ("Zo\u2060ra", "Zora"),
        ("e\u200b\u0301", "\u00e9"),
        ("\u2764\ufe0f", "\u2764"),
        ("\u845b\U000e0100", "\u845b"),
        ("Zo\x00ra\x1b", "Zora"),
        ("Zo\u009bra", "Zora"),
        ("hot\tdog\r\n", "hot dog"),
        ("Zora\U000e0061\U000e0062", "Zora"),
        (
            "\u06a9\u0627\u0631\u200c\u0647\u0627",
            "\u06a9\u0627\u0631\u0647\u0627",
        ),  # Persian; \u0631 never joins
        (
            "\u0e20\u0e32\u0e29\u0e32\u200b\u0e44\u0e17\u0e22",
            "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22",
        ),
    ],
)
def test_another_form_of_a_sign_or_an_invisible_character_makes_no_other_concept(
    one: str, other: str
) -> None:
    assert concept_key(one) == concept_key(other)


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f469\u200d\U0001f467",
        "\u2764\u200d\U0001f525",
        "\U0001f3c3\U0001f3fd\u200d\u2642",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: "I want"
        "\u0915\u094d\u200d\u0937",  # Hindi: half ka, then ssa
        "\u0915\u094d\u200c\u0937",
        "\u0d05\u0d35\u0d28\u0d4d\u200d",  # Malayalam: "he", where without it the word is "to him"
        "rock'n'roll",
        "3\u20132",
    ],
)
def test_characters_that_change_what_is_seen_stay_in_the_key(text: str) -> None:
    assert concept_key(text) == text
    assert Concept.of(text).text == text


@given(texts)
def test_no_key_holds_control_or_invisible_characters(text: str) -> None:
    key = concept_key(text)
    assert not has_invisible(key)
    assert not any(unicodedata.category(character) == "Cc" for character in key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\ufeffmango", "mango"),
        (" \u200b mango\u200b \u200e", "mango"),
        ("\x1bmango\x00", "mango"),
        ("\u2764\ufe0f\u200b", "\u2764\ufe0f"),
        ("Zo\u200bra", "Zo\u200bra"),
        ("\ufe0fmango", "mango"),
        ("\u2800", ""),
    ],
)
def test_a_concept_is_shown_without_invisible_characters_at_its_ends(text: str, shown: str) -> None:
    assert Concept.of(text).text == shown


@pytest.mark.parametrize(
    "text",
    [
        "lena",
        "Lena M\u00fcller",
        "\U0001f469\u200d\U0001f467",
        "\u0645\u06cc\u200c\u062e\u0648\u0627",
        "O\u2019Hara",
    ],
)
def test_a_text_of_characters_that_show_has_nothing_invisible(text: str) -> None:
    assert not has_invisible(text)


@pytest.mark.parametrize(
    "text",
    [
        "lena\u200b",
        "le\u00adna",
        "\u202elena",
        "lena\ufe0f",
        "lena\x9b",
        "le\u200dna",
        "\u2800",
        "lena\x00",
    ],
)
def test_a_text_that_could_look_like_another_has_something_invisible(text: str) -> None:
    assert has_invisible(text)


def test_concepts_differ_by_key_and_are_shown_as_typed() -> None:
    assert Concept.of("New_York") == Concept.of("new york")
    assert hash(Concept.of("New York")) == hash(Concept.of("NEW YORK"))
    assert Concept.of("New_York").text == "New York"


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("my dog", "dog"),
        ("the  my dog", "dog"),
        ("An apple", "apple"),
        ("the", "the"),
        ("dogma", "dogma"),
    ],
)
def test_leading_articles_and_possessives_are_stripped(text: str, bare: str) -> None:
    assert strip_determiners(text) == bare
