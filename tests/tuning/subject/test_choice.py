"""Which of a query's concepts it is about: each rule, and which of two rules decides."""

from __future__ import annotations

import pytest

from server.tuning.subject.choice import USER
from tests.tuning.subject.asking import Ask, Tell, subject


@pytest.mark.parametrize(
    "query",
    [
        "What does a dog enjoy?", "What does the dog enjoy?", "What does my dog enjoy?",
        "what do dogs enjoy", "WHAT DOES A DOG ENJOY?", "What should I feed my dog?",
        "Where do you find a dog?", "My dog likes", "dog", "Tell me about our dog.",
        "What is his dog's name?", "What is the dog’s favourite food?", "  what   does\ta dog do",
        "The colour of my dog is", "What is my dog called?", "Does your old dog bite?",
        "Please tell me: what does a dog want?", "Hey, what does a dog eat?",
        "What is my dog allergic to?", "What is my dog able to do?",
        "What quality does my dog have?", '"dog"', "What's a dog?",
    ],
)  # fmt: skip
async def test_articles_possessives_and_the_questions_own_words_are_not_the_subject(
    ask: Ask, query: str
) -> None:
    choice = await ask(query)
    assert choice.match.concept.key == "dog"
    assert not choice.match.personal


@pytest.mark.parametrize(
    "query",
    [
        "What do I do?", "Who is it?", "what", "do", "I", "the", "What is in the what?",
        "How do you do?", "Is it mine?", "?", "...", " ", "🐶?", "my",
        "What do you do with something?",
    ],
)  # fmt: skip
async def test_a_query_without_a_content_word_is_about_the_user(ask: Ask, query: str) -> None:
    """Although the graph has heads like "what", "do" and "i"."""
    choice = await ask(query)
    assert (choice.match, choice.alternatives) == (USER, ())
    assert choice.match.personal


async def test_a_function_word_does_not_match_with_personal_triples_either(
    ask: Ask, tell: Tell
) -> None:
    await tell(("it", "is", "mine"), ("what", "is", "what"), ("you", "likes", "me"))
    assert await subject(ask, "What do you do with it in the park?") == "park"
    assert (await ask("What do you do with it?")).match == USER


async def test_1_personal_triples_come_first(ask: Ask, tell: Tell) -> None:
    query = "Does Danielle Darrieux walk my dog in a park near the polar bears?"
    assert await subject(ask, query) == "danielle darrieux"
    await tell(("park", "is", "closed"))
    assert await subject(ask, query) == "park"
    assert await subject(ask, query, "bob") == "danielle darrieux"


async def test_1_a_word_of_the_question_is_not_the_subject_for_its_personal_triples(
    ask: Ask, tell: Tell
) -> None:
    await tell(("color", "is", "blue"), ("eat", "requires", "a fork"))
    assert await subject(ask, "What color is the grass?") == "grass"
    assert await subject(ask, "What does a cat eat?") == "cat"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What is the purpose of a lamp?", "lamp"),
        ("What is the color of the sky?", "sky"),
        ("Which animal eats grass?", "grass"),
        ("What color is the table?", "table"),
    ],
)
async def test_what_is_asked_for_is_not_what_is_asked_about(
    ask: Ask, query: str, expected: str
) -> None:
    assert await subject(ask, query) == expected


async def test_but_it_is_where_nothing_else_is_named(ask: Ask) -> None:
    for query in ("Which animal?", "What is the color?", "the color of it"):
        choice = await ask(query)
        assert choice.match.concept.key in ("animal", "color")
        assert not choice.match.personal


async def test_what_stands_where_the_subject_stands_before_what_more_is_known_of(ask: Ask) -> None:
    assert await subject(ask, "Does a mouse like cheese?") == "mouse"
    assert await subject(ask, "A cat sees cheese") == "cat"
    assert await subject(ask, "Under which heading would you file a table?") == "table", (
        "a verb stands after you"
    )


async def test_more_retrievable_triples_before_the_rightmost(ask: Ask) -> None:
    assert await subject(ask, "How do I put a lamp on a chair?") == "lamp"
    assert await subject(ask, "How do I put a chair under a lamp?") == "lamp"


async def test_the_rightmost_decides_last(ask: Ask) -> None:
    assert await subject(ask, "How do I put a lamp on a bed?") == "bed"
    assert await subject(ask, "How do I put a bed under a lamp?") == "lamp"


async def test_the_others_are_alternatives_in_the_same_order(ask: Ask) -> None:
    choice = await ask("Does a mouse like cheese near a polar bear?")
    assert choice.match.concept.key == "polar bear"
    assert [m.concept.key for m in choice.alternatives] == ["mouse", "bear", "cheese", "polar"]


@pytest.mark.parametrize(
    "wordings",
    [
        (
            "What does a dog enjoy?",
            "What should I feed my dog?",
            "what do dogs like",
            "The dog's favourite food is",
        ),
        (
            "Where does Anna Schmidt live?",
            "What is Anna Schmidt's address?",
            "Anna Schmidt lives in",
        ),
        (
            "What does my garden gnome like?",
            "What is my garden gnome's favourite drink?",
            "What should I give my garden gnome?",
        ),
        (
            "How do I take my café au lait?",
            "What goes into my café au lait?",
            "My café au lait contains",
        ),
        (
            "Why do people eat breakfast?",
            "What do you need to eat breakfast?",
            "What does eating breakfast require?",
        ),
        (
            "Where are my house keys?",
            "The place I keep my house keys is",
            "Where did I leave the house keys?",
        ),
    ],
)
async def test_a_paraphrase_lands_on_the_corrected_concept(
    ask: Ask, tell: Tell, wordings: tuple[str, ...]
) -> None:
    concept = (await ask(wordings[0])).match.concept
    await tell((concept.text, "likes", "rain"))
    assert {(await ask(wording)).match.concept for wording in wordings} == {concept}
