"""How a query is cut into words and sentences, as the choice shows it."""

from __future__ import annotations

import unicodedata

import pytest

from tests.tuning.subject.asking import Ask, subject


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What does a ＤＯＧ eat?", "dog"),  # NFKC
        ("Where is the STRASSE?", "strasse"),  # casefold
        ("Where is the straße?", "strasse"),
        (unicodedata.normalize("NFD", "What is naïve?"), "naïve"),
        ("What does a 犬 like?", "犬"),
        ("What does कुत्ता eat?", "कुत्ता"),  # vowel signs belong to the word
        ("What does собака eat?", "собака"),
        ("What does the dog\u00a0park have?", "dog park"),
        ("What does a\u200b dog eat?", "dog"),
        ("What does Zo\u200bra eat?", "zora"),
        ("What does the hot_dog cost?", "hot dog"),
    ],
)
async def test_keys_are_folded(ask: Ask, query: str, expected: str) -> None:
    assert await subject(ask, query) == expected


async def test_composed_and_decomposed_letters_are_the_same_concept(ask: Ask) -> None:
    forms = [unicodedata.normalize(form, "What does Zoë Müller like?") for form in ("NFC", "NFD")]
    assert {await subject(ask, query) for query in forms} == {"zoë müller"}


async def test_a_query_of_any_length_is_read(ask: Ask) -> None:
    assert await subject(ask, "well " * 5000 + "what does a dog eat") == "dog"
    assert (await ask("gnome " * 5000)).match.personal


async def test_a_long_message_keeps_its_question_wherever_it_stands(ask: Ask) -> None:
    talk = "The park is old and the lamp is on. " * 50
    assert await subject(ask, "What does a mouse eat? " + talk) == "mouse"
    assert await subject(ask, talk + "What does a mouse eat? " + talk) == "mouse"
    assert await subject(ask, talk + "What does a mouse eat?") == "mouse"
    assert await subject(ask, talk + "A polar bear eats") == "polar bear", "without one, the end"


async def test_the_question_counts_among_several_sentences(ask: Ask) -> None:
    assert await subject(ask, "I love my dog. What do cats eat?") == "cat"
    assert await subject(ask, "What do cats eat? I only have grass.") == "cat"
    assert await subject(ask, "I have a dog. What should I feed him?") == "dog"
    assert await subject(ask, "The park is old. A polar bear eats") == "polar bear"
    assert (
        await subject(
            ask, "He was seen in Lembeck Castle. The mother tongue of Danielle Darrieux is"
        )
        == "danielle darrieux"
    )
