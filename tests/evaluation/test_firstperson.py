"""The first-person cases: whole, told apart, and asked in other words."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

import evaluation
from server.tuning.subject.words import query_words

DATA = Path(evaluation.__file__).parent / "data" / "firstperson.jsonl"
CASES: list[dict[str, Any]] = [
    json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()
]
FIELDS = ["id", "topic", "half", "query", "answer", "statement", "paraphrases", "near_misses"]
TOPICS = {
    "occupation",
    "home",
    "family",
    "health",
    "food",
    "habits",
    "plans",
    "things owned",
    "tastes",
    "money",
    "schedule",
}
BLOCKS = [CASES[start : start + 24] for start in range(0, 288, 24)] + [
    CASES[288:294],
    CASES[294:],
]
"""The cases that are taught to one user together."""


def content_words(text: str) -> set[str]:
    return {word.key for word in query_words(text) if not word.is_function}


def subject_words(text: str) -> set[str]:
    """What a query names; where it names nothing, the verb that asks."""
    words = [word for word in query_words(text) if not word.is_function]
    return {word.key for word in words if not word.asks} or {word.key for word in words}


def is_question(text: str) -> bool:
    """Whether a question mark is there, or was left out by somebody who types in lower case."""
    begins = re.match(r"(what|which|who|whose|where|when|how)\b", text)
    return text.endswith("?") or begins is not None


def texts(case: dict[str, Any]) -> list[str]:
    return [case["query"], *case["paraphrases"], *case["near_misses"]]


def test_there_are_300_cases_with_the_same_fields() -> None:
    assert [case["id"] for case in CASES] == list(range(1, 301))
    for case in CASES:
        assert list(case) == FIELDS
        assert len(case["paraphrases"]) == len(case["near_misses"]) == 2
        strings = [case["answer"], case["statement"], *texts(case)]
        assert all(isinstance(text, str) and text == text.strip() != "" for text in strings)
        assert len(case["answer"].split()) <= 5


def test_the_topics_are_about_equally_many() -> None:
    counted = Counter(case["topic"] for case in CASES)
    assert set(counted) == TOPICS
    assert set(counted.values()) <= {27, 28}


def test_each_block_is_of_one_half_and_the_halves_take_turns() -> None:
    halves = Counter(case["half"] for case in CASES)
    assert halves == {"development": 150, "unseen": 150}
    for number, block in enumerate(BLOCKS):
        assert {case["half"] for case in block} == {("development", "unseen")[number % 2]}


def test_nothing_is_asked_twice() -> None:
    asked = [text.casefold() for case in CASES for text in texts(case)]
    assert [text for text, count in Counter(asked).items() if count > 1] == []
    assert len({case["statement"] for case in CASES}) == len(CASES)
    assert len({case["answer"].casefold() for case in CASES}) == len(CASES)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"from-{block[0]['id']}")
def test_no_two_queries_of_a_block_name_the_same(block: list[dict[str, Any]]) -> None:
    for one, other in combinations(block, 2):
        shared = subject_words(one["query"]) & subject_words(other["query"])
        assert not shared, (one["query"], other["query"])


def test_no_question_holds_its_answer() -> None:
    for case in CASES:
        answer = re.sub(r"^(a|an|the|my|in|on|at) ", "", case["answer"].casefold())
        holds = re.compile(rf"(?<!\w){re.escape(answer)}(?!\w)")
        for text in texts(case):
            assert not holds.search(text.casefold()), (case["id"], text)


def test_what_the_answer_says_is_in_the_statement() -> None:
    for case in CASES:
        said = content_words(case["statement"]).union(case["statement"].casefold().split())
        missing = content_words(case["answer"]) - said
        assert not missing, (case["id"], missing)


def test_one_paraphrase_has_another_form_than_its_query() -> None:
    for case in CASES:
        query = is_question(case["query"])
        assert any(is_question(text) is not query for text in case["paraphrases"]), case["id"]


def test_paraphrases_share_no_content_word_with_their_query() -> None:
    pairs = [(case["query"], text) for case in CASES for text in case["paraphrases"]]
    apart = [pair for pair in pairs if not content_words(pair[0]) & content_words(pair[1])]
    assert len(apart) >= 0.85 * len(pairs)
