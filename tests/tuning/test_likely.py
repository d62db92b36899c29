"""Facts that share words with a query, the rarest word's first."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import pytest

from server.graph.triple import Stamp
from server.tuning.likely import WordSearch, content_words


@dataclass(frozen=True)
class Text:
    stamp: Stamp
    told: str
    names: tuple[str, ...] = ()


TEXTS = [
    "What does my dog eat?",
    "Where does my sister work?",
    "Does my sister's dog bark?",
    "Who is my boss’s boss?",
    "I works as nurse",
]
FACTS = [Text(Stamp(9 - number, 0), text) for number, text in enumerate(TEXTS)]


def found(query: str) -> list[int]:
    facts = dict.fromkeys(WordSearch(FACTS).find(content_words(query), ()))
    return [TEXTS.index(fact.told) for fact in facts]


def test_the_rarest_word_comes_first_and_then_the_newest_fact() -> None:
    assert found("Does the dog of my sister bark?") == [2, 0, 1]


def test_words_that_only_ask_find_nothing() -> None:
    assert found("What does she do, and where is it?") == []


def test_a_word_is_found_by_its_beginning_in_any_case_and_next_to_any_mark() -> None:
    assert found("SISTERS!") == [1, 2]
    assert found("Is he my boss?") == [3]
    assert found("the workings of nurses") == [4]


def test_the_middle_of_a_word_is_not_its_beginning() -> None:
    assert found("an ark") == []


def test_no_fact_has_no_words() -> None:
    assert list(WordSearch[Text]([]).find(["dog"], ())) == []


def test_a_fact_with_names_is_found_by_a_query_that_has_one_of_them() -> None:
    dog, both = Text(Stamp(1, 0), "dog eats", ("dog",)), Text(Stamp(2, 0), "dog", ("dog", "cat"))
    search = WordSearch([dog, both])
    assert list(search.find(["dog"], ())) == []
    assert list(search.find(["dog"], {"cat"})) == [both]
    assert list(dict.fromkeys(search.find(["dog"], {"cat", "dog"}))) == [both, dog]


# On drawn facts

WORDS = ["a", "an", "ant", "ants", "bee", "bees", "bell", "c", "cat", "cats", "dog", "dogged"]
NAMES = ["ant", "bee", "cat"]


def drawn_fact(draw: random.Random, revision: int) -> Text:
    told = " ".join(draw.choices(WORDS, k=draw.randint(1, 5)))
    return Text(
        Stamp(revision, draw.randint(0, 9)), told, tuple(draw.sample(NAMES, draw.choice([0, 1, 2])))
    )


def plainly(
    facts: Collection[Text], words: Iterable[str], named: Collection[str]
) -> dict[Text, None]:
    """What a search through all texts finds, in its order."""
    newest = sorted(facts, key=lambda fact: fact.stamp, reverse=True)
    whole = "".join(f" {fact.told}" for fact in newest)
    allowed = [fact for fact in newest if not fact.names or set(fact.names) & set(named)]
    return {
        fact: None
        for word in sorted(set(words), key=lambda word: (whole.count(f" {word}"), word))
        for fact in allowed
        if f" {word}" in f" {fact.told}"
    }


@pytest.mark.parametrize("seed", range(40))
def test_after_any_changes_all_is_found_that_a_plain_search_finds(seed: int) -> None:
    draw = random.Random(seed)
    facts = [drawn_fact(draw, number) for number in range(draw.randint(0, 30))]
    search = WordSearch(facts)
    for edit in range(8):
        words, named = draw.sample(WORDS, 3), draw.sample(NAMES, draw.randint(0, 3))
        found_here = dict.fromkeys(search.find(words, named))
        assert list(found_here) == list(plainly(facts, words, named))
        removed = draw.sample(facts, min(len(facts), draw.randint(0, 4)))
        older = removed[:1] if edit % 2 else []  # a revert puts it back
        added = [*older, *(drawn_fact(draw, 100 + 10 * edit + n) for n in range(3))]
        before, search = search, search.changed(removed, added)
        facts = [fact for fact in facts if fact not in removed] + added
        assert list(dict.fromkeys(before.find(words, named))) == list(found_here)
