"""How a message is cut: into what is read at once, and into what a fact comes from."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.tuning.learn.passages import MOST_WORDS, Passage, passages

LISBON = "We moved to Lisbon in May and my daughter is allergic to peanuts."
DOG = "Q: What does my dog eat? A: meat"


def test_a_short_message_is_read_at_once_with_what_was_said_before() -> None:
    assert passages(LISBON, DOG) == [Passage(LISBON, DOG)]


def test_a_long_message_is_read_a_few_sentences_at_a_time() -> None:
    said = [
        f"I have been to {town}."
        for town in ["Bath", "Cork", "Oslo", "Rome", "Nice", "Lima", "Bern"]
    ]
    parts = passages(" ".join(said), DOG)
    assert [part.text for part in parts] == [
        " ".join(said[:3]),
        " ".join(said[3:6]),
        said[6],
    ]
    assert [part.context for part in parts] == [DOG, parts[0].text, parts[1].text]


def test_quotes_around_the_whole_message_are_not_read() -> None:
    assert [part.text for part in passages('"I like jazz."')] == ["I like jazz."]
    assert [part.text for part in passages('"No" and "yes"')] == ['"No" and "yes"']


def test_long_sentences_are_read_alone() -> None:
    long = "I " + "really " * (MOST_WORDS - 10) + "like cheese."
    assert [part.text for part in passages(f"{long} {long} I like ham.")] == [
        long,
        f"{long} I like ham.",
    ]


@given(st.text(), st.text(max_size=9))
def test_every_sentence_that_may_state_something_is_read(text: str, context: str) -> None:
    said = "".join("".join(part.text.split()) for part in passages(text, context))
    assert Counter(said) <= Counter("".join(text.split()))


def test_what_surely_states_nothing_is_not_read() -> None:
    assert passages("Write a poem about Ann. What rhymes with cat?") == []
    (part,) = passages("I like jazz. Is it loud? Never mind.")
    assert part.text == "I like jazz. Never mind."


def test_a_fact_comes_from_a_clause() -> None:
    passage = Passage(LISBON, "")
    assert passage.clause_of("my daughter", "peanuts") == "my daughter is allergic to peanuts."
    assert passage.clause_of("I", "Lisbon") == "We moved to Lisbon in May"
    assert Passage("I like ham and eggs.", "").clause_of("I", "eggs") == "I like ham and eggs."


@pytest.mark.parametrize(
    ("text", "read_as", "not_so"),
    [
        ("My boss is Petra, not Paula.", "My boss is Petra.", ["Paula"]),
        ("Ann Lee, not Bob Roe, won.", "Ann Lee won.", ["Bob Roe"]),
        ("I do not like jazz.", "I do not like jazz.", []),
    ],
)
def test_what_is_not_so_is_read_apart(text: str, read_as: str, not_so: list[str]) -> None:
    passage = Passage(text, "")
    assert (passage.read_as, passage.not_so) == (read_as, not_so)


def test_the_question_before_is_the_last_one() -> None:
    assert Passage("meat", DOG).question == "What does my dog eat?"
    assert (
        Passage("it is", "Is it warm? Yes. And where is my hat?").question == "And where is my hat?"
    )
    assert Passage("it is", "It is warm.").question == ""
    assert Passage("it is", "").question == ""


def test_the_words_that_were_said_are_those_of_the_context_too() -> None:
    assert {"meat", "dog", "vegetables"} <= Passage("only Vegetables!", DOG).said
