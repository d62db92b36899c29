"""Texts that share words with a query, the rarest word's first."""

from __future__ import annotations

from server.tuning.likely import WordSearch, content_words

TEXTS = [
    "What does my dog eat?",
    "Where does my sister work?",
    "Does my sister's dog bark?",
    "Who is my boss’s boss?",
    "I works as nurse",
]


def found(query: str) -> list[int]:
    return list(dict.fromkeys(WordSearch(TEXTS).find(content_words(query))))


def test_the_rarest_word_comes_first_and_then_the_order_of_the_texts() -> None:
    assert found("Does the dog of my sister bark?") == [2, 0, 1]


def test_words_that_only_ask_find_nothing() -> None:
    assert found("What does she do, and where is it?") == []


def test_a_word_is_found_by_its_beginning_in_any_case_and_next_to_any_mark() -> None:
    assert found("SISTERS!") == [1, 2]
    assert found("Is he my boss?") == [3]
    assert found("the workings of nurses") == [4]


def test_the_middle_of_a_word_is_not_its_beginning() -> None:
    assert found("an ark") == []


def test_no_text_has_no_words() -> None:
    assert list(WordSearch([]).find(["dog"])) == []
