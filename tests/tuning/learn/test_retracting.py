"""What a message takes back, by its words and by what was said before."""

from __future__ import annotations

import pytest

from server.graph.relation import Vocabulary
from server.graph.triple import Stamp, Triple
from server.tuning.learn.passages import Passage
from server.tuning.learn.retracting import beginning, taken_back, takes_back
from server.tuning.recall import Fact

VOCABULARY = Vocabulary.built_in()
MEAT = Fact(Triple.of("dog", "Desires", "meat"), Stamp(1, 0), "", owned=True)
COFFEE = Fact(Triple.of("I", "Desires", "coffee"), Stamp(2, 0), "")
DOG = "Q: What does my dog eat? A: meat"


@pytest.mark.parametrize(
    "text",
    [
        "I don't drink coffee any more",
        "Forget that I like jazz.",
        "I no longer live in Bath",
        "I\u2019ve quit smoking",
    ],
)
def test_something_is_taken_back(text: str) -> None:
    assert takes_back(text)
    assert beginning(Passage(text, ""), [], VOCABULARY) == " -"


@pytest.mark.parametrize("text", ["I like jazz", "I will never forget you", "any other tea?"])
def test_nothing_is_taken_back(text: str) -> None:
    assert not takes_back(text)
    assert beginning(Passage(text, DOG), [MEAT], VOCABULARY) == ""


def test_a_no_takes_back_what_the_answer_rests_on() -> None:
    begun = beginning(Passage("no, he eats only vegetables", DOG), [COFFEE, MEAT], VOCABULARY)
    assert begun == " - my dog | likes | meat <sep> + my dog | likes |"
    coffee = Passage("No, mint tea.", "Q: What do I drink? A: coffee")
    assert beginning(coffee, [MEAT, COFFEE], VOCABULARY).startswith(" - I | likes | coffee <sep>")


def test_a_no_takes_nothing_back_that_was_not_the_answer() -> None:
    for context in ("", "What does my dog eat?", "Q: What does my cat eat? A: meat"):
        assert beginning(Passage("no, vegetables", context), [MEAT], VOCABULARY) == ""


def test_a_clause_takes_back_the_facts_that_it_names() -> None:
    passage = Passage("I don't drink coffee any more, but I like meat for my dog.", "")
    (gone,) = taken_back(passage, [MEAT, COFFEE])
    assert (gone.triple, gone.learned) == (COFFEE.triple, False)
    assert gone.source == "I don't drink coffee any more"
    assert taken_back(Passage("My cat wants meat no longer.", ""), [MEAT, COFFEE]) == []


def test_what_is_not_so_goes_for_what_is() -> None:
    (gone,) = taken_back(Passage("I like tea, not coffee.", ""), [MEAT, COFFEE])
    assert (gone.triple, gone.source) == (COFFEE.triple, "I like tea, not coffee.")
    assert taken_back(Passage("I like coffee, not milk.", ""), [COFFEE]) == []


def test_lines_begin_with_a_minus_only_where_the_first_clause_takes_back() -> None:
    told = "I don't drink coffee any more, and my sister is called Ida."
    assert beginning(Passage(told, ""), (), VOCABULARY) == " -"
    told = "My sister is called Ida, and I don't drink coffee any more."
    assert beginning(Passage(told, ""), (), VOCABULARY) == ""
