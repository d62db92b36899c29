"""Facts about the user, and queries about somebody else."""

from __future__ import annotations

import pytest

from server.graph.triple import Stamp, Triple
from server.tuning.others import AskedOf
from server.tuning.recall import Fact


def fact(head: str, taught_by: str, *, owned: bool = True) -> Fact:
    return Fact(Triple.of(head, "is", "3 May"), Stamp(1, 0), taught_by, owned)


BIRTHDAY = fact("birthday", "When is my birthday?")
DOG = fact("dog", "What does my dog eat?")


@pytest.mark.parametrize(
    ("about", "query"),
    [
        (BIRTHDAY, "When is my sister's birthday?"),
        (BIRTHDAY, "When is my sister\u2019s birthday?"),
        (BIRTHDAY, "when is her birthday"),
        (BIRTHDAY, "When is James' birthday?"),
        (DOG, "What does my neighbour's dog eat?"),
    ],
)
def test_somebody_elses_is_not_the_users(about: Fact, query: str) -> None:
    assert AskedOf(query).is_another_than(about)


WORK = fact("I", "What do I do for a living?", owned=False)


@pytest.mark.parametrize(
    "query",
    [
        "Where does my sister work?",
        "What's our neighbour's job?",
        "Tell me what my younger brother does for a living.",
        "What do my parents do for a living?",
    ],
)
def test_what_the_users_people_do_is_not_what_the_user_does(query: str) -> None:
    assert AskedOf(query).is_another_than(WORK)
    assert AskedOf(query).is_another_than(DOG)


@pytest.mark.parametrize(
    ("about", "query"),
    [
        (WORK, "What do I do for work?"),
        (WORK, "How can I tell my sister what I do for work?"),
        (WORK, "Who is my boss?"),
        (WORK, "Tell me the first name of my husband."),
        (WORK, "What do sisters do for a living?"),
        (fact("I", "Where does my sister work?", owned=False), "Where does my sister work?"),
        (fact("sister", "Who is Ida?"), "Where does my sister work?"),
        (BIRTHDAY, "When is my birthday?"),
        (BIRTHDAY, "Is my sister's birthday before my birthday?"),
        (BIRTHDAY, "When do I turn a year older?"),
        (BIRTHDAY, "When's birthday time?"),
        (DOG, "What does the dog eat?"),
        (DOG, "What does a dog eat?"),
        (DOG, "I have a dog. What does it eat?"),
        (DOG, ""),
        (fact("birthday", "When is my sister's birthday?"), "When is my sister's birthday?"),
        (fact("birthday", "When is his birthday?", owned=False), "When is my sister's birthday?"),
    ],
)
def test_what_may_be_the_users_is(about: Fact, query: str) -> None:
    assert not AskedOf(query).is_another_than(about)
