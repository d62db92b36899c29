"""Proper names."""

from __future__ import annotations

import pytest

from tests.tuning.subject.asking import Ask, Tell, subject


async def test_2_names_before_what_somebody_owns_and_before_longer_runs(ask: Ask) -> None:
    assert await subject(ask, "Did Anna see my dog near the polar bear?") == "anna"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("The mother tongue of Danielle Darrieux is", "Danielle Darrieux"),
        ("Danielle Darrieux is a native speaker of", "Danielle Darrieux"),
        ("Where does Anna live?", "Anna"),
        ("What is Anna's favourite food?", "Anna"),
        ("The official religion of Edwin of Northumbria is", "Edwin of Northumbria"),
        ("What is the twin city of Lyon? It is", "Lyon"),
        ("Who directed Dr. No?", "Dr. No"),
        ("The author of Star Trek: Voyager is", "Star Trek: Voyager"),
        ("Who plays for AC Milan?", "AC Milan"),
        (
            "Which company makes the Chevrolet Camaro (first generation)?",
            "Chevrolet Camaro (first generation)",
        ),
        ("What did Ludwig van Beethoven write?", "Ludwig van Beethoven"),
        ("When was J. R. R. Tolkien born?", "J. R. R. Tolkien"),
        ("Where is 10 Downing Street?", "10 Downing Street"),
        ("The father of Sir Thomas Buxton, 1st Baronet is", "Sir Thomas Buxton, 1st Baronet"),
        ("Mars is", "mars"),
        ("Zoë likes", "Zoë"),
    ],
)
async def test_proper_names_are_found_whole(ask: Ask, query: str, name: str) -> None:
    choice = await ask(query)
    assert choice.match.concept.text == name


async def test_a_capital_at_the_start_of_a_sentence_does_not_make_a_concept_a_name(
    ask: Ask,
) -> None:
    for query, expected in (
        ("Dogs are", "dog"),
        ("Pancakes need", "pancake"),
        ("Describe a lamp.", "lamp"),
        ("Zorbing hill is", "zorb hill"),
    ):
        choice = await ask(query)
        assert (choice.match.concept.key, choice.match.personal) == (expected, False)


async def test_a_name_that_is_also_a_function_word_is_one_inside_a_sentence(ask: Ask) -> None:
    assert await subject(ask, "What does Will like?") == "will"
    assert await subject(ask, "Where does May live?") == "may"
    for query in ("Will it rain?", "what does will like", "May I?"):
        assert await subject(ask, query) not in ("will", "may")


async def test_any_other_is_where_the_user_has_told_something_about_it(
    ask: Ask, tell: Tell
) -> None:
    query = "What does Just like?"
    assert await subject(ask, query) != "just"
    await tell(("Just", "likes", "tulips"))
    assert await subject(ask, query) == "just"
    assert await subject(ask, "what does just like") != "just"
    assert await subject(ask, query, "bob") != "just"


async def test_capitals_mean_nothing_where_all_letters_are(ask: Ask) -> None:
    assert await subject(ask, "DOES A MOUSE LIKE A POLAR BEAR?") == "polar bear"
