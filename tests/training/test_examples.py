"""The training examples, made from a small data folder that the test writes."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from server.graph.relation import Vocabulary
from tests.training.reference_data import PEOPLE, write_reference_data
from training.examples import Example, ExampleMaker
from training.questions import Question
from training.sources import HELD_OUT_RELATIONS, DataMissing, Sources, is_held_out

VOCABULARY = Vocabulary.built_in()
REASONING = re.compile(
    r"Answer the query considering the user's personalized facts\."
    r" <question>: (.+) <facts>: (.+) <answer>:"
)
RETRIEVAL = re.compile(r"To answer the query: (.+), I need information (\S.*\S|\S)")
EXTRACTION = re.compile(
    r"Based on the provided query and answer, identify (\d) types of relationships between the"
    r" subject <subject> and the object <object>, considering the context of the query and answer\."
    r" <query>: (.+) <answer>: (.+) <subject>: (.+) <object>: (.+) <relation>:"
)
COUNT = 1500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reference_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def sources(folder: Path) -> Sources:
    return Sources(folder)


@pytest.fixture(scope="module")
def examples(sources: Sources) -> list[Example]:
    return list(ExampleMaker(sources, VOCABULARY, seed=17).examples(COUNT))


@pytest.fixture(scope="module")
def questions(sources: Sources) -> list[Question]:
    maker = ExampleMaker(sources, VOCABULARY, seed=17)
    return [maker.questions.draw() for _ in range(COUNT)]


def test_the_same_seed_gives_the_same_examples(sources: Sources, examples: list[Example]) -> None:
    again = Sources(sources.folder)
    assert list(ExampleMaker(again, VOCABULARY, seed=17).examples(200)) == examples[:200]
    assert list(ExampleMaker(sources, VOCABULARY, seed=18).examples(200)) != examples[:200]


# Held out


def phrase_of(sources: Sources, relation: str) -> str:
    pararel = sources.wordings["pararel"]
    return str(pararel[relation]["phrase"]) if relation in pararel else VOCABULARY.phrase(relation)


def held_out_phrases(sources: Sources) -> set[str]:
    return {phrase_of(sources, relation) for relation in HELD_OUT_RELATIONS}


ALSO_EVERYDAY = pytest.mark.xfail(
    reason="training asks about people's own instruments with the phrase of the held-out P1303",
    strict=True,
)


@pytest.mark.parametrize(
    "relation",
    [
        pytest.param(r, marks=ALSO_EVERYDAY) if r == "P1303" else r
        for r in sorted(HELD_OUT_RELATIONS)
    ],
)
def test_a_relation_that_is_held_out_answers_no_training_question(
    sources: Sources, questions: list[Question], examples: list[Example], relation: str
) -> None:
    phrase = phrase_of(sources, relation)
    targets = [
        e.target.strip().split(" <sep> ")[0]
        for e in examples
        if e.kind in ("retrieval", "extraction")
    ]
    assert phrase not in [q.phrase for q in questions]
    assert phrase not in targets


def test_no_training_question_is_about_a_subject_that_is_held_out(
    sources: Sources, questions: list[Question]
) -> None:
    asked = {q.subject for q in questions}
    everyday = {s for words in sources.subject_lists.values() for s in words.seen}
    assert {s for s in asked - everyday if is_held_out(s)} == set()
    assert asked & set(PEOPLE), "people of the encyclopaedic sources are asked about"
    assert any(is_held_out(person) for person in PEOPLE)


def wording(form: str) -> re.Pattern[str]:
    """What a question in this form looks like, however it is styled."""
    escaped = re.escape(form.rstrip("?."))
    for slot in ("S", "s", "ing"):
        escaped = escaped.replace(re.escape("{" + slot + "}"), ".+")
    return re.compile(rf"(?:.*[,!:.] )?{escaped}[?.]?(?:, please\?)?", re.IGNORECASE)


def forms(sources: Sources) -> Iterator[tuple[str, bool]]:
    """(form, whether it is held out)."""
    for entry in (*sources.wordings["conceptnet"].values(), *sources.wordings["everyday"]):
        for kind in ("nouns", "verbs", "forms", "held_out"):
            for form in entry.get(kind, ()):
                yield form, kind == "held_out"


def test_no_training_question_is_worded_as_a_form_that_is_held_out(
    sources: Sources, questions: list[Question]
) -> None:
    held_out = [wording(form) for form, is_kept in forms(sources) if is_kept]
    trained_on = [wording(form) for form, is_kept in forms(sources) if not is_kept]
    asked = {text for q in questions for text in (q.query, q.paraphrase)}
    leaked = [text for text in asked if _is_in(text, held_out) and not _is_in(text, trained_on)]
    assert leaked == []


def _is_in(text: str, forms_: Sequence[re.Pattern[str]]) -> bool:
    """Whether the text is worded in one of the forms."""
    return any(form.fullmatch(text) for form in forms_)


def test_no_form_is_both_trained_on_and_held_out(sources: Sources) -> None:
    kept = {form for form, is_kept in forms(sources) if is_kept}
    assert kept.isdisjoint(form for form, is_kept in forms(sources) if not is_kept)


@pytest.mark.parametrize("part", ["subjects", "relations", "wordings"])
def test_the_report_asks_what_is_held_out(sources: Sources, part: str) -> None:
    maker = ExampleMaker(sources, VOCABULARY, 1, part)  # type: ignore[arg-type]
    asked = [maker.questions.draw() for _ in range(100)]
    if part == "relations":
        assert {q.phrase for q in asked} <= held_out_phrases(sources)
    elif part == "subjects":
        unseen = {s for words in sources.subject_lists.values() for s in words.unseen}
        assert all(is_held_out(q.subject) or q.subject in unseen for q in asked)
    else:
        held_out = [wording(form) for form, is_kept in forms(sources) if is_kept]
        assert all(_is_in(q.paraphrase, held_out) for q in asked)


# The templates


def test_examples_follow_the_templates_to_the_byte(examples: list[Example]) -> None:
    templates = {"reasoning": REASONING, "retrieval": RETRIEVAL, "extraction": EXTRACTION}
    assert {e.kind for e in examples} == {*templates, "plain"}
    for example in examples:
        if example.kind in templates:
            assert templates[example.kind].fullmatch(example.prompt), example.prompt
        assert not example.prompt.endswith(" ")
        assert re.fullmatch(r" \S(.*\S)?", example.target), (
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
        right = [f for f in facts if f.startswith(question.subject) and f.endswith(question.answer)]
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


def test_some_examples_have_no_fact_that_answers(examples: list[Example]) -> None:
    """The true answer follows then."""
    reasoning = [e for e in examples if e.kind == "reasoning"]
    without = [e for e in reasoning if not _has_answer(e)]
    assert 0 < len(without) < len(reasoning) / 5


def _has_answer(example: Example) -> bool:
    answer = example.target.strip()
    return any(fact.endswith(answer) for fact in _facts(example))


def _facts(example: Example) -> list[str]:
    found = REASONING.fullmatch(example.prompt)
    assert found
    return found[2].split("; ")


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
