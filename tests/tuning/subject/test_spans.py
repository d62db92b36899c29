"""Which runs of words may be the subject: what somebody owns, long runs, texts too long."""

from __future__ import annotations

import pytest

from tests.tuning.subject.asking import Ask, subject


async def test_what_somebody_owns_before_longer_runs_known_or_not(ask: Ask) -> None:
    assert await subject(ask, "Does my cat like a polar bear?") == "cat"
    choice = await ask("Does my zorblax like a polar bear?")
    assert (choice.match.concept.key, choice.match.personal) == ("zorblax", True)
    assert await subject(ask, "What is my point of view?") == "point of view"
    assert await subject(ask, "What does my sister's boat cost?") == "sister's boat"
    assert await subject(ask, "What do my sisters' boats cost?") == "sisters' boats"
    assert await subject(ask, "When is my sister's birthday?") == "sister"


async def test_the_longest_run_that_is_a_concept_before_what_more_is_known_of(ask: Ask) -> None:
    assert await subject(ask, "Where would a polar bear sleep?") == "polar bear"
    assert await subject(ask, "Where is a bear and a hot dog?") == "hot dog"
    assert await subject(ask, "How do I go to work?") == "go to work"
    assert await subject(ask, "What happens when you wake up?") == "wake up"
    assert await subject(ask, "Why do people eat breakfast?") == "eat breakfast"


async def test_a_concept_does_not_go_across_a_comma(ask: Ask) -> None:
    assert await subject(ask, "For a dog, park benches are") != "dog park"
    assert await subject(ask, "What is in my glass, house or garden?") == "glass"


@pytest.mark.parametrize(
    "query",
    [
        "ฉันชอบกินอาหารอะไรมากที่สุดในตอนเช้า" * 6,
        "https://example.com/" + "a" * 600,
        "What is " + "x" * 600 + "?",
        "What is my " + "x" * 600 + "?",
        "Who is " + "X" * 600 + " (an album)?",
        "What does " + "é" * 300 + " eat?",
    ],
)
async def test_a_text_too_long_for_a_concept_is_not_a_subject(ask: Ask, query: str) -> None:
    choice = await ask(query)
    assert len(choice.match.concept.text.encode()) <= 512


async def test_the_last_words_are_the_subject_where_all_are_too_long_for_a_concept(
    ask: Ask,
) -> None:
    words = [letter * 100 for letter in "bcdfghjk"]
    choice = await ask("Tell me " + " ".join(words))
    assert choice.match.concept.text == " ".join(words[3:])


async def test_a_shorter_subject_is_found_next_to_a_word_that_is_too_long(ask: Ask) -> None:
    assert (await ask("Where is the zebra " + "x" * 600 + "?")).match.concept.text == "zebra"
