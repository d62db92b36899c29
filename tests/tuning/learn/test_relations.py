"""Which relation a phrase stands for, of what people say."""

from __future__ import annotations

import pytest

from server.graph.relation import Vocabulary
from server.tuning.learn.relations import declared_as, learned_relation

VOCABULARY = Vocabulary.built_in()


@pytest.mark.parametrize(
    ("phrase", "relation"),
    [
        ("likes", "Desires"),
        ("loves", "Desires"),
        ("hates", "NotDesires"),
        ("eats", "eats"),
        ("Drinks", "drinks"),
        ("lives in", "lives in"),
        ("moved to", "lives in"),
        ("is located in", "AtLocation"),
        ("is", "is"),
        ("is a", "is a"),
        ("is employed by", "works at"),
        ("works as", "works as"),
        ("is training for", "is training for"),
    ],
)
def test_a_phrase_that_says_more_than_a_declared_relation_stays(phrase: str, relation: str) -> None:
    assert learned_relation(phrase, VOCABULARY) == relation


@pytest.mark.parametrize(
    ("one", "other"),
    [("lives in", "AtLocation"), ("is", "HasProperty"), ("eats", "Desires"), ("is a", "IsA")],
)
def test_it_says_the_same_as_the_declared_relation(one: str, other: str) -> None:
    assert declared_as(one, VOCABULARY) == declared_as(other, VOCABULARY) == other


def test_a_relation_of_its_own_stands_for_itself() -> None:
    assert declared_as("is training for", VOCABULARY) == "is training for"


def test_names_are_given_in_either_phrase() -> None:
    assert learned_relation("is named", VOCABULARY) == "is named"
    assert declared_as("is named", VOCABULARY) == declared_as("is called", VOCABULARY)
