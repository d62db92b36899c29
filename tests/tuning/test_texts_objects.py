"""Which concept a feedback names."""

from __future__ import annotations

import pytest

from server.graph.concept import Concept
from server.tuning.texts import object_text, says


@pytest.mark.parametrize(
    ("answer", "object"),
    [
        ("the vegetables.", "vegetables"),
        ('"Dr. Lee"', "Dr. Lee"),
        ("  a  cat ", "cat"),
        ("...", "..."),
        ("vegetables.", "vegetables"),
        ("my garden", "garden"),
        ("the kennel", "kennel"),
        ("My garden.", "garden"),
        ("the red vegetables!", "red vegetables"),
        ("red wine;", "red wine"),
        ("vegetables,", "vegetables"),
        ("2.5.", "2.5"),
        ("14.", "14"),
        ("緑茶。", "緑茶"),
        ("「緑茶」。", "緑茶"),
        ('"vegetables."', "vegetables"),
    ],
)
def test_the_object_is_the_answer_without_trimmings(answer: str, object: str) -> None:
    assert object_text(answer) == object


@pytest.mark.parametrize(
    "name",
    [
        "My Chemical Romance", "The Who", "The 1975", "Her Majesty", "A Coruña", "Washington, D.C.",
        "U.S.A.", "D.C.", "Ph.D.", "J.", "Robert Downey, Jr.", "Monsters, Inc.", "St.", "Yahoo!",
        "Mamma Mia!", "hunter2;", "hunter2!", "p,w,", "C++", "C#", "-18 degrees", "AB-123",
        "'n'roll", "rock 'n' roll", '5\'10"', "Guess Who?", "Wait...", "5'", "the 1975", "北京大学",
        "Ph.D", "50%", "a", "the",
    ],
)  # fmt: skip
def test_names_and_signs_are_kept_as_they_were_said(name: str) -> None:
    assert object_text(name) == name
    assert says(name, name)


def test_a_country_is_the_concept_that_the_graph_knows() -> None:
    assert Concept.of(object_text("U.S.A.")).key == "u.s.a."
