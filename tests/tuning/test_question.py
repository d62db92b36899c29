"""What asks in a text, however much stands around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.tuning.question import MOST_CHARACTERS, MOST_WORDS, question_of

QUESTION = "What does my dog like to eat?"
TALK = "Yesterday we went to the lake, and it rained all day. " * 40


@pytest.mark.parametrize("text", [QUESTION, "My hobby is", " what  now ", "🐶", "", "word " * 60])
def test_a_short_text_stays_as_it_is(text: str) -> None:
    assert question_of(text) == text.strip()


@pytest.mark.parametrize(
    "text",
    [TALK + QUESTION, QUESTION + " " + TALK, TALK + QUESTION + " " + TALK, TALK + QUESTION + "\n"],
)
def test_a_long_message_keeps_its_question_wherever_it_stands(text: str) -> None:
    assert question_of(text) == QUESTION


def test_of_several_questions_the_last_one_stays() -> None:
    assert question_of(f"How are you? {TALK}{QUESTION} {TALK}") == QUESTION


def test_without_a_question_the_last_sentence_stays() -> None:
    assert question_of(TALK + "The food that my dog likes best is") == (
        "The food that my dog likes best is"
    )


def test_of_a_long_sentence_the_end_stays() -> None:
    asked = question_of("and then he said that " * 100 + "which food does my dog like?")
    assert asked.endswith("which food does my dog like?")
    assert len(asked.split()) == MOST_WORDS


def test_a_long_text_without_words_or_blanks_is_cut_to_its_end() -> None:
    assert question_of("🐶" * 1_000 + "?") == "🐶" * (MOST_CHARACTERS - 1) + "?"
    assert question_of("犬" * 1_000) == "犬" * MOST_CHARACTERS


pieces = st.sampled_from(
    [
        "what",
        "my",
        "dog",
        "O’Hara's",
        "?",
        "!",
        ".",
        ",",
        "\n",
        " ",
        "  ",
        "🐶",
        "犬",
        "https://x.y/?z=1",
    ]
)


@given(st.lists(pieces, max_size=900))
def test_any_text_has_a_question_of_bounded_length(drawn: list[str]) -> None:
    text = " ".join(drawn) if len(drawn) % 2 else "".join(drawn)
    asked = question_of(text)
    assert asked in text
    assert len(asked) <= MOST_CHARACTERS
    assert question_of(asked) == asked, "a key is read of the same text the next time"
    assert bool(asked) == bool(text.strip())
