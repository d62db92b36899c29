"""Where a new fact is filed: at what the query is about, or at the user."""

from __future__ import annotations

import pytest

from server.tuning.subject.choice import USER, USER_CONCEPT
from tests.tuning.subject.asking import Ask, Tell


@pytest.mark.parametrize(
    "query",
    [
        "What do I do for work?", "Where do I live?", "What am I allergic to?", "I live in",
        "What should I feed a dog?", "Which park do we like best?", "What do I do?", "Is it mine?",
        "my", "Who knows me?", "I’m good at",
    ],
)  # fmt: skip
async def test_a_query_about_the_user_as_such_is_filed_at_the_user(ask: Ask, query: str) -> None:
    choice = await ask(query)
    assert choice.filed_at == USER
    assert USER_CONCEPT.key in choice.named


@pytest.mark.parametrize(
    ("query", "concept"),
    [
        ("What does a dog eat?", "dog"),
        ("What does Anna Schmidt like?", "Anna Schmidt"),
        ("What does a Zorblax3000 enjoy?", "Zorblax3000"),
        ("Where did I meet Anna Schmidt?", "Anna Schmidt"),
        ("What do I feed my dog?", "dog"),
        ("What do I feed his dog?", "dog"),
        ("What's my profession?", "profession"),
    ],
)
async def test_any_other_is_filed_at_what_it_is_about_also_where_the_user_takes_part(
    ask: Ask, query: str, concept: str
) -> None:
    choice = await ask(query)
    assert choice.filed_at == choice.match
    assert choice.match.concept.text == concept


@pytest.mark.parametrize(
    "query",
    [
        "Tell me what a dog eats",
        "Remind me where the park is",
        "Please show us a dog",
        "Give me a cake",
    ],
)
async def test_in_a_request_me_and_us_do_not_make_it_a_query_about_the_user(
    ask: Ask, query: str
) -> None:
    choice = await ask(query)
    assert choice.filed_at == choice.match != USER


async def test_what_the_user_has_told_about_a_concept_is_filed_there_again(
    ask: Ask, tell: Tell
) -> None:
    query = "What should I feed a dog?"
    assert (await ask(query)).filed_at == USER
    await tell(("dog", "is", "old"))
    assert (await ask(query)).filed_at == (await ask(query)).match != USER
    assert (await ask(query, "bob")).filed_at == USER


@pytest.mark.parametrize("query", ["Who is it?", "what", "?", " ", "🐶?", "How do you do?", ""])
async def test_a_query_without_any_content_has_no_place_for_a_fact(ask: Ask, query: str) -> None:
    choice = await ask(query)
    assert choice.filed_at is None
    assert choice.named == {USER_CONCEPT.key}


@pytest.mark.parametrize(
    ("query", "owned"),
    [
        ("What does my dog eat?", True),
        ("What does our old dog like?", True),
        ("What is the name of my dog?", True),
        ("What does my zorblax eat?", True),
        ("my favourite color", True),
        ("What does a dog eat?", False),
        ("What does your dog eat?", False),
        ("What does his dog eat?", False),
        ("Where does the dog of mine sleep?", False),
    ],
)
async def test_what_the_query_says_is_the_users_own_is_owned(
    ask: Ask, query: str, owned: bool
) -> None:
    assert (await ask(query)).match.owned is owned


async def test_a_concept_is_the_same_whether_it_is_owned_or_not(ask: Ask) -> None:
    mine, any_ = await ask("What does my dog eat?"), await ask("What does a dog eat?")
    assert mine.match == any_.match
    assert not mine.match.personal, "my dog is still a dog for the base's facts"


async def test_all_concepts_that_a_query_may_be_about_are_named(ask: Ask) -> None:
    choice = await ask("Does a mouse like cheese near a polar bear?")
    assert choice.named == {"polar bear", "mouse", "bear", "cheese", "polar"}
