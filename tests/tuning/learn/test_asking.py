"""What asks for a fact, and whether an answer gives it back."""

from __future__ import annotations

import pytest

from server.graph.triple import Triple
from server.tuning.learn.asking import asks_for, gives
from server.tuning.learn.filing import Filed

WORDS = "my doctor is called Lund"


def fact(source: str, taught_by: str | None = None) -> Filed:
    taught_by = source if taught_by is None else taught_by
    return Filed(Triple.of("doctor", "is called", "Lund"), True, True, source, taught_by)


def test_the_users_own_words_ask_for_a_value() -> None:
    assert asks_for(fact("My doctor's name is Lund."), WORDS) == "My doctor's name is"


@pytest.mark.parametrize("source", ["Lund is my doctor.", "Doctor Lund", "my doctor", "İ am Lund"])
def test_the_words_of_the_fact_ask_where_those_do_not(source: str) -> None:
    assert asks_for(fact(source), WORDS) == "my doctor is called"
    assert asks_for(fact(source, taught_by=""), WORDS) == "my doctor is called"


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
        ("Lundgren", "Lund", False),
        ("", "Lund", False),
    ],
)
def test_an_answer_gives_a_value_back(answer: str, tail: str, given: bool) -> None:
    assert gives(answer, tail, set()) is given
