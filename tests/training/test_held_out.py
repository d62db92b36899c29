"""What is held out: training does not ask it, and the report does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest

from server.graph.relation import Vocabulary
from tests.training.reference_data import PEOPLE
from training.examples import Example, ExampleMaker
from training.kinds import Kind, bare, filled, filled_head, plain, read_kinds
from training.parts import Unseen
from training.question import Question
from training.sources import HELD_OUT_RELATIONS, Sources, is_held_out

VOCABULARY = Vocabulary.built_in()
KINDS = read_kinds()


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
    of_kinds = {q.subject for q in questions if q.said}
    assert {s for s in of_kinds if is_held_out(bare(s))} == set()
    assert len(of_kinds) > 100
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


def test_no_training_question_is_of_a_kind_or_in_a_wording_that_is_held_out(
    questions: list[Question],
) -> None:
    asked = {plain(text) for q in questions if q.said for text in (q.query, q.paraphrase)}
    for kind in KINDS:
        kept = kind.held_out if kind.is_trained_on else kind.wordings
        assert asked.isdisjoint(_about(kind, kept)), kind.name
    trained = [kind for kind in KINDS if kind.is_trained_on]
    filed = {(filled_head(k, s), k.relation) for k in trained for s in k.subjects or ("",)}
    assert {(q.said, q.phrase) for q in questions if q.said} <= filed


def _about(kind: Kind, texts: Sequence[str]) -> set[str]:
    return {plain(filled(text, s)) for text in texts for s in kind.subjects or ("",)}


def _asker(sources: Sources, part: Unseen) -> ExampleMaker:
    return ExampleMaker(sources, VOCABULARY, 1, part)


def test_the_report_asks_relations_that_are_held_out(sources: Sources) -> None:
    maker = _asker(sources, "relations")
    asked = [maker.questions.draw_without_kinds() for _ in range(100)]
    assert {q.phrase for q in asked} <= held_out_phrases(sources)


def test_the_report_asks_about_subjects_that_are_held_out(sources: Sources) -> None:
    maker = _asker(sources, "subjects")
    asked = [maker.questions.draw_without_kinds() for _ in range(100)]
    unseen = {s for words in sources.subject_lists.values() for s in words.unseen}
    assert all(is_held_out(q.subject) or q.subject in unseen for q in asked)


def test_the_report_asks_in_wordings_that_are_held_out(sources: Sources) -> None:
    maker = _asker(sources, "wordings")
    asked = [maker.questions.draw_without_kinds() for _ in range(100)]
    held_out = [wording(form) for form, is_kept in forms(sources) if is_kept]
    assert all(_is_in(q.paraphrase, held_out) for q in asked)


# Held out, of the kinds


def elsewhere(sources: Sources) -> set[str]:
    """The phrases and plain forms that the other sources train on."""
    trained = {form for form, is_kept in forms(sources) if not is_kept}
    names = {e.relation for e in sources.everyday} | set(sources.wordings["conceptnet"])
    phrases = {VOCABULARY.phrase(relation) for relation in names - HELD_OUT_RELATIONS}
    for relation, entry in sources.wordings["pararel"].items():
        if relation not in HELD_OUT_RELATIONS:
            phrases.add(entry["phrase"])
    return phrases | {plain(form.replace("{s}", "{S}")) for form in trained}


def test_the_report_asks_kinds_that_are_held_out(sources: Sources) -> None:
    maker = _asker(sources, "relations")
    asked = [maker.questions.draw_of_kinds() for _ in range(150)]
    held_out = {kind.relation for kind in KINDS if kind.is_held_out}
    trained = {kind.relation for kind in KINDS if kind.is_trained_on}
    assert {q.phrase for q in asked} <= held_out - trained - elsewhere(sources)
    assert len({q.phrase for q in asked}) > 20


def test_the_report_asks_kinds_about_subjects_that_are_held_out(sources: Sources) -> None:
    maker = _asker(sources, "subjects")
    asked = [maker.questions.draw_of_kinds() for _ in range(150)]
    seen = {s for words in sources.subject_lists.values() for s in words.seen}
    assert all(is_held_out(q.subject) and is_held_out(bare(q.subject)) for q in asked)
    assert seen.isdisjoint(q.subject for q in asked)
    assert len({q.subject for q in asked}) > 50


def test_the_report_asks_kinds_in_wordings_that_are_held_out(sources: Sources) -> None:
    maker = _asker(sources, "wordings")
    asked = [maker.questions.draw_of_kinds() for _ in range(150)]
    kept: set[str] = set()
    for kind in KINDS:
        if kind.is_trained_on:
            wordings = [w for w in kind.held_out if plain(w) not in elsewhere(sources)]
            kept |= _about(kind, wordings)
    assert kept.issuperset(plain(q.paraphrase) for q in asked)


def test_kinds_that_are_held_out_have_other_facts_around_them(sources: Sources) -> None:
    """So a question of the report among five facts has others there."""
    maker = _asker(sources, "relations")
    counts = [len(maker.questions.of_kinds.draw().others) for _ in range(100)]
    assert sum(count >= 4 for count in counts) > 60


# Sources


def test_a_third_of_the_training_questions_are_of_kinds(questions: list[Question]) -> None:
    assert 0.30 < sum(bool(q.said) for q in questions) / len(questions) < 0.40


@pytest.mark.parametrize("part", ["subjects", "relations", "wordings"])
def test_the_report_asks_kinds_apart_from_the_other_sources(sources: Sources, part: Unseen) -> None:
    """Its figures stay those of the questions that it asked before there were kinds."""
    questions = _asker(sources, part).questions
    assert not any(questions.draw_without_kinds().said for _ in range(100))
    assert all(questions.draw_of_kinds().said for _ in range(100))
