"""Which concept a query is about: each rule, and which of two rules decides."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from server.errors import SubjectNotFound
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.history import EditFactsCommand, Historian
from server.tuning.subject import SubjectChoice, find_subject
from server.writing.turns import UserTurns
from server.writing.writes import Writes
from testbed.bases import BaseTriple, build_base

VOCABULARY = Vocabulary.built_in()
HEADS = {
    "dog": 5, "hot dog": 2, "cat": 3, "park": 9, "dog park": 1, "mouse": 3, "cheese": 8, "bear": 9, "polar bear": 2,
    "polar": 1, "sky": 2, "color": 9, "colour": 9, "grass": 4, "animal": 9, "breakfast": 9, "eat breakfast": 2, "eat": 9,
    "go to work": 3, "work": 9, "wake": 4, "wake up": 2, "lamp": 4, "bed": 4, "table": 3, "chair": 2, "pancake": 2,
    "baker": 4, "baking": 1, "purpose": 9, "point": 9, "point of view": 1, "love letter": 2, "people": 1, "person": 6,
    "house": 4, "boat": 3, "cake": 3, "wish": 2, "story": 2, "wolf": 2, "mars": 3, "file": 9, "run": 6, "chess": 5,
    "play chess": 2, "zorb hill": 1, "glasses": 3, "glass": 7, "glass house": 1, "straße": 1, "naïve": 1, "犬": 2, "कुत्ता": 1,
    # Real graphs have heads like these; none of them is ever what a query is about.
    "what": 20, "do": 20, "i": 20, "it": 20, "the": 20, "who": 20, "is": 20, "you": 20, "my": 20, "something": 20,
    "in": 20, "how": 20,
}  # fmt: skip
FORMS = {"dwarves": "dog", "spectacles": "glasses", "glasses": "glass"}

Ask = Callable[..., Awaitable[SubjectChoice]]


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    store = SqliteStore(":memory:", VOCABULARY)
    triples = [
        *(
            Triple.of(head, "HasProperty", f"property {n}")
            for head, count in HEADS.items()
            for n in range(count)
        ),
        *(Triple.of(form, "FormOf", base) for form, base in FORMS.items()),
    ]
    build_base(store.folder, [BaseTriple(t) for t in triples], VOCABULARY)
    yield store
    await store.close()


@pytest.fixture
def ask(store: SqliteStore) -> Ask:
    async def ask(query: str, user: str = "alice", at_revision: int | None = None) -> SubjectChoice:
        return await find_subject(store, user, query, at_revision)

    return ask


@pytest.fixture
def tell(store: SqliteStore) -> Callable[..., Awaitable[None]]:
    """Gives a user personal triples, (head, relation, tail) each."""
    historian, writes = Historian(store), Writes(store, UserTurns())

    async def tell(*facts: tuple[str, str, str], user: str = "alice") -> None:
        command = EditFactsCommand.of(user, VOCABULARY, [Triple.of(*f) for f in facts])
        await writes.run(user, lambda snapshot: historian.propose_edit(command, snapshot))

    return tell


async def subject(ask: Ask, query: str, user: str = "alice") -> str:
    return (await ask(query, user)).match.concept.key


# What is stripped, and what never matches


@pytest.mark.parametrize(
    "query",
    [
        "What does a dog enjoy?", "What does the dog enjoy?", "What does my dog enjoy?", "what do dogs enjoy",
        "WHAT DOES A DOG ENJOY?", "What should I feed my dog?", "Where do you find a dog?", "My dog likes", "dog",
        "Tell me about our dog.", "What is his dog's name?", "What is the dog’s favourite food?", "  what   does\ta dog do",
        "The colour of my dog is", "What is my dog called?", "Does your old dog bite?",
        "Please tell me: what does a dog want?", "Hey, what does a dog eat?", "What is my dog allergic to?",
        "What is my dog able to do?", "What quality does my dog have?", '"dog"', "What's a dog?",
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
    ["What do I do?", "Who is it?", "what", "do", "I", "the", "What is in the what?", "How do you do?", "Is it mine?",
     "?", "...", " ", "🐶?", "my", "What do you do with something?"],
)  # fmt: skip
async def test_a_query_without_a_content_word_has_no_subject(ask: Ask, query: str) -> None:
    """Although the graph has heads like "what", "do" and "i"."""
    with pytest.raises(SubjectNotFound) as failed:
        await ask(query)
    assert (failed.value.reason, failed.value.field) == ("SUBJECT_NOT_FOUND", "query")


async def test_a_function_word_does_not_match_with_personal_triples_either(
    ask: Ask, tell: Callable[..., Awaitable[None]]
) -> None:
    await tell(("it", "is", "mine"), ("what", "is", "what"), ("you", "likes", "me"))
    assert await subject(ask, "What do you do with it in the park?") == "park"
    with pytest.raises(SubjectNotFound):
        await ask("What do you do with it?")


# Inflected forms


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What do dwarves like?", "dog"),  # FormOf, and nothing else would say so
        ("Where did I put the spectacles?", "glasses"),
        ("What do stories have?", "story"),
        ("Where do boats sail?", "boat"),
        ("What are wishes?", "wish"),
        ("What do wolves eat?", "wolf"),
        ("What do mice eat?", "mouse"),
        ("Where do people live?", "person"),
        ("What do polar bears eat?", "polar bear"),
        ("How do I make pancakes?", "pancake"),
        ("What is playing chess like?", "play chess"),
    ],
)
async def test_plurals_and_inflected_forms_land_on_their_concept(
    ask: Ask, query: str, expected: str
) -> None:
    assert await subject(ask, query) == expected


async def test_a_form_that_more_is_known_of_than_of_its_base_stays(
    ask: Ask, tell: Callable[..., Awaitable[None]]
) -> None:
    assert await subject(ask, "What are glasses for?") == "glass", "seven triples against three"
    await tell(("glasses", "is located in", "drawer"))
    assert await subject(ask, "What are glasses for?") == "glasses"


# Precedence


async def test_1_personal_triples_come_first(
    ask: Ask, tell: Callable[..., Awaitable[None]]
) -> None:
    query = "Does Danielle Darrieux walk my dog in a park near the polar bears?"
    assert await subject(ask, query) == "danielle darrieux"
    await tell(("park", "is", "closed"))
    assert await subject(ask, query) == "park"
    assert await subject(ask, query, "bob") == "danielle darrieux"


async def test_1_a_word_of_the_question_is_not_the_subject_for_its_personal_triples(
    ask: Ask, tell: Callable[..., Awaitable[None]]
) -> None:
    await tell(("color", "is", "blue"), ("eat", "requires", "a fork"))
    assert await subject(ask, "What color is the grass?") == "grass"
    assert await subject(ask, "What does a cat eat?") == "cat"


async def test_2_names_before_what_somebody_owns_and_before_longer_runs(ask: Ask) -> None:
    assert await subject(ask, "Did Anna see my dog near the polar bear?") == "anna"


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


async def test_of_several_sentences_the_question_counts(ask: Ask) -> None:
    assert await subject(ask, "I love my dog. What do cats eat?") == "cat"
    assert await subject(ask, "What do cats eat? I only have grass.") == "cat"
    assert await subject(ask, "I have a dog. What should I feed him?") == "dog"
    assert await subject(ask, "The park is old. A polar bear eats") == "polar bear"
    assert (
        await subject(
            ask, "He was seen in Lembeck Castle. The mother tongue of Danielle Darrieux is"
        )
        == "danielle darrieux"
    )


async def test_what_somebody_owns_before_longer_runs_known_or_not(ask: Ask) -> None:
    assert await subject(ask, "Does my cat like a polar bear?") == "cat"
    choice = await ask("Does my zorblax like a polar bear?")
    assert (choice.match.concept.key, choice.match.personal) == ("zorblax", True)
    assert await subject(ask, "What is my point of view?") == "point of view"
    assert await subject(ask, "What does my sister's boat cost?") == "sister's boat"
    assert await subject(ask, "What do my sisters' boats cost?") == "sisters' boats"
    assert await subject(ask, "When is my sister's birthday?") == "sister"


async def test_the_longest_run_that_is_a_concept_before_what_more_is_known_of(ask: Ask) -> None:
    assert await subject(ask, "Where would a polar bear sleep?") == "polar bear"
    assert await subject(ask, "Where is a bear and a hot dog?") == "hot dog"
    assert await subject(ask, "How do I go to work?") == "go to work"
    assert await subject(ask, "What happens when you wake up?") == "wake up"
    assert await subject(ask, "Why do people eat breakfast?") == "eat breakfast"


async def test_what_stands_where_the_subject_stands_before_what_more_is_known_of(ask: Ask) -> None:
    assert await subject(ask, "Does a mouse like cheese?") == "mouse"
    assert await subject(ask, "A cat sees cheese") == "cat"
    assert await subject(ask, "Under which heading would you file a table?") == "table", (
        "a verb stands after you"
    )


async def test_more_retrievable_triples_before_the_rightmost(ask: Ask) -> None:
    assert await subject(ask, "How do I put a lamp on a chair?") == "lamp"
    assert await subject(ask, "How do I put a chair under a lamp?") == "lamp"


async def test_the_rightmost_at_last(ask: Ask) -> None:
    assert await subject(ask, "How do I put a lamp on a bed?") == "bed"
    assert await subject(ask, "How do I put a bed under a lamp?") == "lamp"


async def test_a_concept_does_not_go_across_a_comma(ask: Ask) -> None:
    assert await subject(ask, "For a dog, park benches are") != "dog park"
    assert await subject(ask, "What is in my glass, house or garden?") == "glass"


async def test_the_others_are_alternatives_in_the_same_order(ask: Ask) -> None:
    choice = await ask("Does a mouse like cheese near a polar bear?")
    assert choice.match.concept.key == "polar bear"
    assert [m.concept.key for m in choice.alternatives] == ["mouse", "bear", "cheese", "polar"]


# Proper names


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


async def test_a_capital_at_the_start_of_a_sentence_makes_no_name_of_a_concept(ask: Ask) -> None:
    for query, expected in (
        ("Dogs are", "dog"),
        ("Pancakes need", "pancake"),
        ("Describe a lamp.", "lamp"),
        ("Zorbing hill is", "zorb hill"),
    ):
        choice = await ask(query)
        assert (choice.match.concept.key, choice.match.personal) == (expected, False)


async def test_capitals_mean_nothing_where_all_letters_are(ask: Ask) -> None:
    assert await subject(ask, "DOES A MOUSE LIKE A POLAR BEAR?") == "polar bear"


# Personal concepts


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


async def test_personal_concepts_are_this_users_alone(
    ask: Ask, tell: Callable[..., Awaitable[None]]
) -> None:
    query = "How do I put garden gnomes in a park?"
    await tell(("garden gnomes", "likes", "rain"))
    mine, bobs = await ask(query), await ask(query, "bob")
    assert (mine.match.concept.key, mine.match.personal) == ("garden gnomes", True)
    assert bobs.match.concept.key == "park"
    assert "garden gnomes" not in [m.concept.key for m in bobs.alternatives]


async def test_a_tail_of_a_personal_triple_is_a_concept_too(
    ask: Ask, tell: Callable[..., Awaitable[None]]
) -> None:
    await tell(("dog", "likes", "garden gnomes from mars"))
    choice = await ask("How do I put garden gnomes from mars in a park?")
    assert (choice.match.concept.key, choice.match.personal) == ("garden gnomes from mars", True)
    assert await subject(ask, "How do I put garden gnomes from mars in a park?", "bob") == "park"


async def test_an_earlier_revision_has_the_concepts_of_then(
    ask: Ask, tell: Callable[..., Awaitable[None]]
) -> None:
    await tell(("park", "is", "closed"))
    query = "How do I put a polar bear in a park?"
    assert (await ask(query)).match.concept.key == "park"
    assert (await ask(query, at_revision=1)).match.concept.key == "park"
    assert (await ask(query, at_revision=0)).match.concept.key == "polar bear"


# Other words for the same


@pytest.mark.parametrize(
    "wordings",
    [
        ("What does a dog enjoy?", "What should I feed my dog?", "what do dogs like", "The dog's favourite food is"),
        ("Where does Anna Schmidt live?", "What is Anna Schmidt's address?", "Anna Schmidt lives in"),
        ("What does my garden gnome like?", "What is my garden gnome's favourite drink?", "What should I give my garden gnome?"),
        ("How do I take my café au lait?", "What goes into my café au lait?", "My café au lait contains"),
        ("Why do people eat breakfast?", "What do you need to eat breakfast?", "What does eating breakfast require?"),
        ("Where are my house keys?", "The place I keep my house keys is", "Where did I leave the house keys?"),
    ],
)  # fmt: skip
async def test_a_paraphrase_lands_on_the_corrected_concept(
    ask: Ask, tell: Callable[..., Awaitable[None]], wordings: tuple[str, ...]
) -> None:
    concept = (await ask(wordings[0])).match.concept
    await tell((concept.text, "likes", "rain"))
    assert {(await ask(wording)).match.concept for wording in wordings} == {concept}


# Unicode


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What does a ＤＯＧ eat?", "dog"),  # NFKC
        ("Where is the STRASSE?", "strasse"),  # casefold
        ("Where is the straße?", "strasse"),
        (unicodedata.normalize("NFD", "What is naïve?"), "naïve"),
        ("What does a 犬 like?", "犬"),
        ("What does कुत्ता eat?", "कुत्ता"),  # vowel signs belong to the word
        ("What does собака eat?", "собака"),
        ("What does the dog\u00a0park have?", "dog park"),
        ("What does a\u200b dog eat?", "dog"),
        ("What does the hot_dog cost?", "hot dog"),
    ],
)
async def test_keys_are_folded(ask: Ask, query: str, expected: str) -> None:
    assert await subject(ask, query) == expected


async def test_composed_and_decomposed_letters_are_the_same_concept(ask: Ask) -> None:
    forms = [unicodedata.normalize(form, "What does Zoë Müller like?") for form in ("NFC", "NFD")]
    assert {await subject(ask, query) for query in forms} == {"zoë müller"}


async def test_a_query_of_any_length_is_read(ask: Ask) -> None:
    assert await subject(ask, "What does a dog eat, " + "really " * 5000) == "dog"
    assert (await ask("gnome " * 5000)).match.personal


@pytest.mark.parametrize(
    "query",
    [
        "ฉันชอบกินอาหารอะไรมากที่สุดในตอนเช้า" * 6,
        "https://example.com/" + "a" * 600,
        "What is " + "x" * 600 + "?",
        "What is my " + "x" * 600 + "?",
        "Who is " + "X" * 600 + " (an album)?",
        "What does " + "é" * 300 + " eat?",
    ],
)
async def test_a_text_too_long_for_a_concept_is_no_subject(ask: Ask, query: str) -> None:
    try:
        choice = await ask(query)
    except SubjectNotFound:
        return
    assert len(choice.match.concept.text.encode()) <= 512


async def test_of_words_too_long_for_a_concept_together_the_last_are_the_subject(ask: Ask) -> None:
    words = [letter * 100 for letter in "bcdfghjk"]
    choice = await ask("Tell me " + " ".join(words))
    assert choice.match.concept.text == " ".join(words[3:])


async def test_a_shorter_subject_is_found_next_to_a_word_that_is_too_long(ask: Ask) -> None:
    assert (await ask("Where is the zebra " + "x" * 600 + "?")).match.concept.text == "zebra"
