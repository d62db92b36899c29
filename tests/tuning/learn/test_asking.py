"""What asks for a fact, and whether an answer gives it back."""

from __future__ import annotations

import pytest

from server.graph.triple import Triple
from server.tuning.learn.asking import asks_for, gives, scope_text
from server.tuning.learn.filing import Filed

WORDS = "my doctor is called Lund"


def fact(source: str, taught_by: str | None = None) -> Filed:
    taught_by = source if taught_by is None else taught_by
    return Filed(Triple.of("doctor", "is called", "Lund"), True, True, source, taught_by)


def bare(source: str) -> Filed:
    return Filed(Triple.of("I", "is", "vegan"), True, False, source, source)


def test_the_words_of_a_fact_ask_for_its_value() -> None:
    assert asks_for(fact("My doctor's name is Lund."), WORDS) == "my doctor is called"
    assert asks_for(fact("Lund is my doctor.", taught_by=""), WORDS) == "my doctor is called"


def test_the_users_own_words_ask_where_those_hardly_say_anything() -> None:
    assert asks_for(bare("These days I'm vegan."), "I is vegan") == "These days I'm"
    for source in ("Vegan I am", "I'm vegan", "İ am vegan"):
        assert asks_for(bare(source), "I is vegan") == "I is"


def test_a_fact_is_found_by_its_words_with_and_without_the_value_and_by_what_said_it() -> None:
    known = "my doctor is called <sep> my doctor is called Lund <sep> My doctor's name is Lund."
    assert scope_text(fact("My doctor's name is Lund."), WORDS) == known
    unsaid = "my doctor is called <sep> my doctor is called Lund"
    assert scope_text(fact("Lund is my doctor.", taught_by=""), WORDS) == unsaid
    assert scope_text(bare("I'm vegan"), "I is vegan") == "I is vegan <sep> I'm vegan"


def test_a_long_value_is_found_only_by_what_said_it() -> None:
    said = "Ann invited Bob to give a talk."
    value = "Bob to give a talk on old bees"
    long = Filed(Triple.of("Ann", "invited", value), True, False, said, said)
    assert scope_text(long, f"Ann invited {value}") == said


def test_the_question_that_was_answered_asks_again() -> None:
    assert asks_for(fact("It's Lund.", "Who is my doctor?"), WORDS) == "Who is my doctor?"


@pytest.mark.parametrize(
    ("answer", "tail", "given"),
    [
        ("Lund", "Lund", True),
        ("Lund, because she is near", "Lund", True),
        ("Lang and Lund", "Lund", True),
        ("integrating AI with data", "project integrating AI with data", True),
        ("data", "project integrating AI with data", False),
        ("published author", "published author known for his early poems", True),
        ("early poems known", "published author known for his early poems", False),
        ("the prize of Rome in 2020", "the prize of Rome in 2020 for a series of prints", True),
        ("Lundgren", "Lund", False),
        ("", "Lund", False),
    ],
)
def test_an_answer_gives_a_value_back(answer: str, tail: str, given: bool) -> None:
    assert gives(answer, tail, set()) is given
