"""The kinds of questions: well formed, told apart, and apart from what is measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import evaluation
from server.graph.relation import Vocabulary
from training.kinds import FOLDER, Kind, bare, filled, plain, read_kinds
from training.sources import HELD_OUT_RELATIONS, Sources, is_held_out

KINDS = read_kinds()
FIELDS = [
    "kind",
    "head",
    "relation",
    "wordings",
    "statements",
    "near",
    "answers",
    "subjects",
]
ROWS = [
    json.loads(line)
    for path in sorted(FOLDER.glob("*.jsonl"))
    for line in path.read_text(encoding="utf-8").splitlines()
]
"""The kinds as they are written."""
CASES = Path(evaluation.__file__).parent / "data"
VOCABULARY = Vocabulary.built_in()


def plain_all(texts: tuple[str, ...] | list[str]) -> list[str]:
    return [plain(text) for text in texts]


def test_every_kind_has_the_same_fields_and_a_name_of_its_own() -> None:
    for row in ROWS:
        assert list(row) in (FIELDS, [*FIELDS, "several"]), row["kind"]
    names = [row["kind"] for row in ROWS]
    assert len(names) == 640
    assert len(set(names)) == len(names)


def test_a_kind_is_asked_in_ten_to_twelve_distinct_wordings() -> None:
    """One or two fewer where a wording would have been a case of the evaluation."""
    counts = [len(row["wordings"]) for row in ROWS]
    assert all(8 <= count <= 12 for count in counts)
    assert sum(count >= 10 for count in counts) > 0.98 * len(counts)
    for row in ROWS:
        assert len(set(plain_all(row["wordings"]))) == len(row["wordings"]), row["kind"]


def test_a_kind_is_stated_in_three_ways_with_a_slot_for_the_answer() -> None:
    for row in ROWS:
        assert len(set(row["statements"])) == 3, row["kind"]
        assert all(text.count("{a}") == 1 for text in row["statements"]), row["kind"]
        assert not any("{a}" in text for text in (*row["wordings"], *row["near"], row["head"]))


def test_a_kind_has_eight_distinct_answers_or_twelve_where_it_asks_for_several() -> None:
    for row in ROWS:
        count = 12 if row.get("several") else 8
        assert len({answer.casefold() for answer in row["answers"]}) == count, row["kind"]
        assert len(row["answers"]) == count, row["kind"]
        assert all(1 <= len(answer.split()) <= 5 for answer in row["answers"]), row["kind"]


def test_the_subject_has_its_slot_in_all_that_is_about_it() -> None:
    for row in ROWS:
        about = (*row["wordings"], *row["statements"], row["head"])
        if row["subjects"]:
            assert all("{S}" in text for text in about), row["kind"]
            assert len(set(row["subjects"])) == len(row["subjects"]) >= 10, row["kind"]
        else:
            assert not any("{S}" in text for text in (*about, *row["near"])), row["kind"]
            assert row["head"] == "I" or row["head"].startswith("my "), row["kind"]


def test_near_misses_are_no_wordings_of_their_kind() -> None:
    for row in ROWS:
        near = plain_all(row["near"])
        assert 3 <= len(set(near)) == len(near), row["kind"]
        assert set(near).isdisjoint(plain_all(row["wordings"])), row["kind"]


def test_texts_have_no_other_slot_and_facts_no_mark_of_a_template() -> None:
    for row in ROWS:
        parts = [row["head"], row["relation"], *row["answers"], *row["subjects"]]
        for text in (*parts, *row["wordings"], *row["statements"], *row["near"]):
            assert text == " ".join(text.split()) != "", (row["kind"], text)
            assert set(re.findall(r"\{.*?\}", text)) <= {"{S}", "{a}"}, (row["kind"], text)
        assert not any(re.search(r"[|<>;]", text) for text in parts), row["kind"]


# Apart from the evaluation's cases


def asked_in(name: str, *fields: str) -> set[str]:
    """What the evaluation's file asks; of a file with two halves, in the one that is unseen."""
    texts: list[str] = []
    for line in (CASES / name).read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if case.get("half") != "development":
            for field in fields:
                texts += [case[field]] if isinstance(case[field], str) else case[field]
    return set(map(plain, texts))


def said_by(kind: Kind) -> Iterator[str]:
    """All that the kind asks and states, plainly."""
    for subject in kind.subjects or ("",):
        for text in (*kind.wordings, *kind.near):
            yield plain(filled(text, subject))
        for text in kind.statements:
            for answer in kind.answers:
                yield plain(filled(text.replace("{a}", answer), subject))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("firstperson.jsonl", ("query", "paraphrases", "near_misses", "statement")),
        ("everyday.jsonl", ("query", "paraphrases", "unrelated")),
    ],
)
def test_no_kind_says_what_the_evaluation_asks(name: str, fields: tuple[str, ...]) -> None:
    """The kinds that do are named; what the unseen half asks is not shown."""
    measured = asked_in(name, *fields)
    assert len(measured) >= 590
    found = [kind.name for kind in KINDS if not measured.isdisjoint(said_by(kind))]
    assert found == []


# Held out


def test_some_kinds_and_wordings_are_held_out() -> None:
    held_out = [kind for kind in KINDS if kind.is_held_out]
    assert 0.05 < len(held_out) / len(KINDS) < 0.15
    wordings = sum(len(kind.wordings) for kind in KINDS)
    assert 0.04 < sum(len(kind.held_out) for kind in KINDS) / wordings < 0.08
    assert all(len(kind.asked) >= 7 for kind in KINDS)
    assert all({*kind.asked, *kind.held_out} == {*kind.wordings} for kind in KINDS)


def about_its_subjects(kind: Kind, texts: tuple[str, ...]) -> set[str]:
    return {plain(filled(text, s)) for text in texts for s in kind.subjects or ("",)}


def test_what_is_held_out_is_asked_by_no_kind_that_is_trained_on() -> None:
    asked: set[str] = set()
    kept: set[str] = set()
    for kind in KINDS:
        if kind.is_trained_on:
            asked |= about_its_subjects(kind, (*kind.asked, *kind.near))
        kept |= about_its_subjects(kind, kind.held_out if kind.is_trained_on else kind.wordings)
    assert len(asked) > 40_000
    assert asked & kept == set()


def test_what_is_the_users_and_held_out_is_asked_about_by_no_kind() -> None:
    own = [kind for kind in KINDS if not (kind.subjects or kind.is_held_out)]
    heads = {bare(kind.head) for kind in own if not kind.is_trained_on}
    assert heads == {head for kind in own if is_held_out(head := bare(kind.head))}
    assert {"rent", "birthday"} <= heads


def test_kinds_of_one_topic_ask_for_different_things() -> None:
    """They stand together in training, as each other's near misses."""
    asked: dict[tuple[str, str], str] = {}
    for kind in KINDS:
        for wording in plain_all(kind.wordings):
            assert asked.setdefault((kind.topic, wording), kind.name) == kind.name


def test_every_kind_that_is_trained_on_keeps_some_near_misses() -> None:
    assert all(len(kind.near) >= 2 for kind in KINDS)


def test_kinds_that_ask_for_a_relation_that_is_held_out_are_held_out(tmp_path: Path) -> None:
    pararel = Sources(tmp_path).wordings["pararel"]
    phrases = {
        pararel[relation]["phrase"] if relation in pararel else VOCABULARY.phrase(relation)
        for relation in HELD_OUT_RELATIONS
    }
    asking = [kind for kind in KINDS if kind.relation in phrases]
    assert asking
    assert [kind.name for kind in asking if not kind.is_held_out] == []


def test_no_subject_is_a_word_that_is_kept_for_the_everyday_questions(tmp_path: Path) -> None:
    lists = Sources(tmp_path).subject_lists.values()
    starred = {word for words in lists for word in words.unseen}
    subjects = {s for kind in KINDS for s in (*kind.subjects, kind.head)}
    assert starred.isdisjoint(subjects | {bare(subject) for subject in subjects})
