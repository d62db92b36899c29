"""The training examples: they follow the templates, and their facts answer or do not."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from server.graph.relation import Vocabulary
from tests.training.prompts import (
    ALIKE_PAIR,
    EXTRACTION,
    LEARNED,
    REASONING,
    RETRIEVAL,
    SUBJECT,
    facts_of,
    query_of,
)
from training.examples import Example, ExampleMaker
from training.kinds import plain
from training.question import Question
from training.sources import DataMissing, Sources

VOCABULARY = Vocabulary.built_in()


def test_the_same_seed_gives_the_same_examples(sources: Sources, examples: list[Example]) -> None:
    again = Sources(sources.folder)
    assert list(ExampleMaker(again, VOCABULARY, seed=17).examples(200)) == examples[:200]
    assert list(ExampleMaker(sources, VOCABULARY, seed=18).examples(200)) != examples[:200]


# The templates


def test_examples_follow_the_templates_to_the_byte(examples: list[Example]) -> None:
    templates = {
        "reasoning": REASONING,
        "retrieval": RETRIEVAL,
        "extraction": EXTRACTION,
        "subject": SUBJECT,
        "learning": LEARNED,
        "alike": ALIKE_PAIR,
    }
    assert {e.kind for e in examples} == {*templates, "plain"}
    for example in examples:
        if example.kind in templates:
            assert templates[example.kind].fullmatch(example.prompt), example.prompt
        assert not example.prompt.endswith(" ")
        assert re.fullmatch(r" \S(.*\S)?", example.target) or example.answered_plainly, (
            "a continuation starts with its one space"
        )
        assert not re.search(r"\{[A-Za-z]+\}|\[[XY]\]", example.prompt + example.target), (
            "no slot is left open"
        )


def test_an_extraction_names_as_many_phrases_as_it_is_asked_for_or_all_there_are(
    examples: list[Example],
) -> None:
    for example in (e for e in examples if e.kind == "extraction"):
        found = EXTRACTION.fullmatch(example.prompt)
        assert found
        phrases = example.target.strip().split(" <sep> ")
        assert 1 <= len(phrases) <= int(found[1])
        assert len(set(phrases)) == len(phrases)
        assert found[3] == found[5], "the object is the answer"


def test_answers_are_one_to_five_words(questions: list[Question]) -> None:
    assert {1, 2, 3} <= {len(q.answer.split()) for q in questions}
    assert all(1 <= len(q.answer.split()) <= 5 for q in questions)


# The facts


def test_the_first_fact_that_answers_wins(sources: Sources) -> None:
    maker = ExampleMaker(sources, VOCABULARY, seed=3)
    seen = 0
    for _ in range(300):
        question = maker.questions.draw()
        facts = maker.facts(question, others=4, rivals=2)
        named = question.said or question.subject
        right = [f for f in facts if f.startswith(named) and f.endswith(question.answer)]
        rivals = {question.fact(r) for r in question.rivals if r != question.answer}
        assert right
        at = [n for n, fact in enumerate(facts) if fact in rivals]
        seen += bool(at)
        assert all(n > facts.index(right[0]) for n in at)
    assert seen > 100


def test_first_puts_the_right_fact_before_all_others(sources: Sources) -> None:
    maker = ExampleMaker(sources, VOCABULARY, 3, "subjects")
    for _ in range(50):
        question = maker.questions.draw()
        assert maker.facts(question, others=3, rivals=1, first=True)[0] == question.fact(
            question.answer
        )


def _reasoning(examples: Sequence[Example]) -> list[Example]:
    return [example for example in examples if example.kind == "reasoning"]


def _is_answered(example: Example) -> bool:
    """Whether one of the facts ends with the target. Several values stand in several facts."""
    answer = example.target.strip()
    facts = facts_of(example)
    if any(fact.endswith(answer) for fact in facts):
        return bool(answer)
    ends = tuple(re.split(r", | and ", answer))
    return len(ends) > 1 and sum(fact.endswith(ends) for fact in facts) >= len(ends)


def test_in_a_good_share_of_the_examples_no_fact_answers(examples: list[Example]) -> None:
    reasoning = _reasoning(examples)
    without = [e for e in reasoning if not _is_answered(e)]
    assert 0.15 < len(without) / len(reasoning) < 0.4


def test_where_no_fact_answers_the_truth_follows_or_what_the_model_says_itself(
    examples: list[Example],
) -> None:
    left = [e for e in _reasoning(examples) if not _is_answered(e)]
    plainly = [e for e in left if e.answered_plainly]
    assert all(e.target == "" for e in plainly)
    assert all(e.target.strip() for e in left if not e.answered_plainly)
    assert 0.8 * len(left) < len(plainly) < len(left)


def test_the_model_is_asked_plainly_what_the_example_asks(examples: list[Example]) -> None:
    """But for how it is styled."""
    plainly = [e for e in examples if e.answered_plainly]
    assert {e.kind for e in plainly} == {"reasoning"}
    assert all(plain(e.answered_plainly) in plain(query_of(e)) for e in plainly)


# The data


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("conceptnet100k.tsv", "Li et al. 2016"),
        ("pararel/query_pairs.json", "ParaRel"),
        ("pararel/patterns", "ParaRel"),
        ("counterfact.jsonl", "Meng et al. 2022"),
    ],
)
def test_a_missing_file_is_said_with_its_origin(
    folder: Path, tmp_path: Path, name: str, origin: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    missing = copy / name
    shutil.rmtree(missing) if missing.is_dir() else missing.unlink()
    with pytest.raises(DataMissing) as failed:
        list(itertools.islice(ExampleMaker(Sources(copy), VOCABULARY, 1).examples(1), 1))
    assert str(missing) in str(failed.value)
    assert origin in str(failed.value)
    assert "--data" in str(failed.value)
