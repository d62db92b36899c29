"""What the graph and the user's overlay know: inflected forms and personal concepts."""

from __future__ import annotations

import pytest

from tests.tuning.subject.asking import Ask, Tell, subject


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What do dwarves like?", "dog"),  # FormOf, and nothing else would say so
        ("Where did I put the spectacles?", "glasses"),
        ("What do stories have?", "story"),
        ("Where do boats sail?", "boat"),
        ("What are wishes?", "wish"),
        ("What do wolves eat?", "wolf"),  # and so do the graph's forms of irregular plurals
        ("What do mice eat?", "mouse"),
        ("What do polar bears eat?", "polar bear"),
        ("How do I make pancakes?", "pancake"),
        ("What is playing chess like?", "play chess"),
    ],
)
async def test_plurals_and_inflected_forms_land_on_their_concept(
    ask: Ask, query: str, expected: str
) -> None:
    assert await subject(ask, query) == expected


async def test_a_form_that_more_is_known_of_than_of_its_base_stays(ask: Ask, tell: Tell) -> None:
    assert await subject(ask, "What are glasses for?") == "glass", "seven triples against three"
    await tell(("glasses", "is located in", "drawer"))
    assert await subject(ask, "What are glasses for?") == "glasses"


async def test_a_name_may_end_in_s_with_an_apostrophe(ask: Ask, tell: Tell) -> None:
    assert await subject(ask, "Where is McDonald's?") == "mcdonald"
    await tell(("McDonald's", "is located in", "Elm Street"))
    for query in ("Where is McDonald's?", "Where is McDonald’s?", "where is mcdonald's"):
        assert await subject(ask, query) == "mcdonald's"
    assert await subject(ask, "What is Lena's car?") == "lena"


async def test_an_unknown_subject_becomes_a_personal_concept(ask: Ask) -> None:
    choice = await ask("What does a blue Zorblax3000 in orbit enjoy?")
    assert choice.match.personal
    choice = await ask("What would garden gnomes enjoy?")
    assert (choice.match.concept.text, choice.match.personal) == ("garden gnomes", True)
    assert choice.match.concept.key == "garden gnomes"


async def test_what_was_typed_stays_for_display(ask: Ask) -> None:
    choice = await ask("What would my Zorblax DELUXE cost?")
    assert (choice.match.concept.text, choice.match.concept.key) == (
        "Zorblax DELUXE",
        "zorblax deluxe",
    )


async def test_personal_concepts_belong_to_this_user_only(ask: Ask, tell: Tell) -> None:
    query = "How do I put garden gnomes in a park?"
    await tell(("garden gnomes", "likes", "rain"))
    mine, bobs = await ask(query), await ask(query, "bob")
    assert (mine.match.concept.key, mine.match.personal) == ("garden gnomes", True)
    assert bobs.match.concept.key == "park"
    assert "garden gnomes" not in [m.concept.key for m in bobs.alternatives]


async def test_a_tail_of_a_personal_triple_is_a_concept_too(ask: Ask, tell: Tell) -> None:
    await tell(("dog", "likes", "garden gnomes from mars"))
    choice = await ask("How do I put garden gnomes from mars in a park?")
    assert (choice.match.concept.key, choice.match.personal) == ("garden gnomes from mars", True)
    assert await subject(ask, "How do I put garden gnomes from mars in a park?", "bob") == "park"


async def test_an_earlier_revision_has_the_concepts_of_then(ask: Ask, tell: Tell) -> None:
    await tell(("park", "is", "closed"))
    query = "How do I put a polar bear in a park?"
    assert (await ask(query)).match.concept.key == "park"
    assert (await ask(query, at_revision=1)).match.concept.key == "park"
    assert (await ask(query, at_revision=0)).match.concept.key == "polar bear"
