"""What a plain clause says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.tuning.learn.clauses import divided, in_full, read_clause, third_person


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("I'm a piano tuner.", ("I", "is a", "piano tuner")),
        ("I like jazz", ("I", "like", "jazz")),
        ("We have booked the Faroe Islands.", ("I", "have booked", "the Faroe Islands")),
        ("My boss is called Petra.", ("My boss", "is called", "Petra")),
        ("Our house was built in 1912", ("Our house", "was built in", "1912")),
        ("Ann Lee is fluent in Dutch.", ("Ann Lee", "is", "fluent in Dutch")),
        ("My favourite colour is green.", ("My favourite colour", "is", "green")),
        ("My niece is almost thirty now.", ("My niece", "is almost", "thirty now")),
        ("Our cat is in the attic.", ("Our cat", "is in", "the attic")),
        ("My yoga class is at seven on Fridays.", ("My yoga class", "is at", "seven on Fridays")),
        ("I'm married.", ("I", "is", "married")),
        ("My sister is Ingeborg Bring.", ("My sister", "is", "Ingeborg Bring")),
        (
            "Ann Lee and Bob Roe both attended the University of Oslo, where they met.",
            ("Ann Lee and Bob Roe", "both attended", "the University of Oslo"),
        ),
        ("Ann enjoys hiking and has seen Rome.", ("Ann", "enjoys", "hiking")),
        ("Ann Lee once organized a sale.", ("Ann Lee", "once organized", "a sale")),
    ],
)
def test_who_what_and_the_value(text: str, says: tuple[str, str, str]) -> None:
    line = read_clause(text)
    assert line is not None
    assert (line.subject, line.relation, line.object) == says
    assert line.learned


@pytest.mark.parametrize(
    "text",
    ["", "!", "Is my boss called Petra?", "Lovely weather.", "I", "I sleep.", "I don't like jazz"],
)
def test_what_is_not_plain_says_nothing(text: str) -> None:
    assert read_clause(text) is None


def test_a_predicate_is_divided_behind_its_verb() -> None:
    assert divided("lives in Bath.") == ("lives in", "Bath")
    assert divided("is") is None
    assert divided("") is None


def test_a_verb_is_said_of_somebody() -> None:
    said = ["speak", "have", "play in", "study", "watch", "go to"]
    of_somebody = ["speaks", "has", "plays in", "studies", "watches", "goes to"]
    assert list(map(third_person, said)) == of_somebody


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("Edinburgh", "University of Edinburgh"),
        ("Ann", "Ann Lee"),
        ("Lee", "Ann Lee"),
        ("University", "University of Edinburgh"),
        ("I", "I"),
        ("nurse", "nurse"),
        ("Oslo", "Oslo"),
    ],
)
def test_a_name_is_taken_in_full(name: str, whole: str) -> None:
    assert in_full(name, "Ann Lee was at the University of Edinburgh. Oslo in May!") == whole


@given(st.text() | st.text("I my is a,. Ann and"))
def test_any_text_may_be_read(text: str) -> None:
    line = read_clause(text)
    assert line is None or (line.subject and line.relation and line.object)
