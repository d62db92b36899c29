"""The examples that kinds and messages make: confirming, declining, several values, learning."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from server.graph.relation import Vocabulary
from tests.training.prompts import LEARNED, facts_of, read_line
from training.examples import Example, ExampleMaker, listed
from training.kinds import Kind, bare, filled, filled_head, read_kinds
from training.messages import read_messages
from training.question import NearOrOwn
from training.sources import Sources, is_held_out

VOCABULARY = Vocabulary.built_in()
KINDS = read_kinds()


@pytest.fixture(scope="module")
def near_or_own(sources: Sources) -> list[NearOrOwn]:
    of_kinds = ExampleMaker(sources, VOCABULARY, seed=7).questions.of_kinds
    return [of_kinds.near_or_own() for _ in range(400)]


def _has_fact(kind: Kind, subject: str, fact: str) -> bool:
    starts = f"{filled_head(kind, subject)} {kind.relation} "
    return fact.startswith(starts) and fact.removeprefix(starts) in kind.answers


def _of(near: NearOrOwn) -> list[tuple[Kind, str]]:
    """The kinds that the fact is of, each with its subject."""
    all_of = [(kind, subject) for kind in KINDS for subject in kind.subjects or ("",)]
    return [(kind, subject) for kind, subject in all_of if _has_fact(kind, subject, near.fact)]


def test_a_fact_is_confirmed_for_the_wordings_of_its_kind(near_or_own: list[NearOrOwn]) -> None:
    own = [near for near in near_or_own if near.answer is not None]
    assert 0.6 < len(own) / len(near_or_own) < 0.8
    for near in own:
        assert near.fact.endswith(f" {near.answer}")
        wordings = {filled(w, s) for kind, s in _of(near) for w in kind.asked}
        assert near.query in wordings


def test_a_fact_is_declined_for_near_misses_other_subjects_and_other_kinds(
    near_or_own: list[NearOrOwn],
) -> None:
    declined = [near for near in near_or_own if near.answer is None]
    from_near = from_others = 0
    for near in declined:
        of = _of(near)
        assert near.query not in {filled(w, s) for kind, s in of for w in kind.wordings}
        is_near = near.query in {filled(text, s) for kind, s in of for text in kind.near}
        from_near += is_near
        from_others += not is_near
    assert from_near > 0.3 * len(declined)
    assert from_others > 0.2 * len(declined)


def test_a_subject_that_is_held_out_is_not_asked_about_even_where_a_fact_is_declined(
    near_or_own: list[NearOrOwn],
) -> None:
    kept = {s for kind in KINDS for s in kind.subjects if is_held_out(s) or is_held_out(bare(s))}
    queries = {near.query for near in near_or_own}
    for kind in KINDS:
        asked = {filled(w, s) for w in kind.asked for s in kind.subjects if s in kept}
        assert queries.isdisjoint(asked)


def test_several_values_are_all_named(sources: Sources) -> None:
    of_kinds = ExampleMaker(sources, VOCABULARY, seed=7).questions.of_kinds
    for _ in range(60):
        kind, subject, values = of_kinds.several()
        assert kind.several and kind.is_trained_on
        assert set(values) <= set(kind.answers)
        assert 2 <= len(set(values)) == len(values) <= 4
        assert bool(subject) == bool(kind.subjects)


def test_values_are_listed_as_people_list_them() -> None:
    assert listed(["Noor"]) == "Noor"
    assert listed(["Noor", "Emil"]) == "Noor and Emil"
    assert listed(["Noor", "Emil", "Tove"]) == "Noor, Emil and Tove"


def _starts(facts: Sequence[str], value: str) -> set[str]:
    """The facts that have this value, without it."""
    return {fact.removesuffix(value) for fact in facts if fact.endswith(f" {value}")}


def test_some_examples_are_answered_with_several_facts(examples: list[Example]) -> None:
    """The facts have one head and one relation."""
    found = 0
    for example in examples:
        values = re.split(r", | and ", example.target.strip())
        if example.kind == "reasoning" and len(values) > 1:
            starts = [_starts(facts_of(example), value) for value in values]
            found += bool(set.intersection(*starts))
    assert 0.02 < found / len(examples) < 0.06


def _learning(examples: Sequence[Example]) -> list[Example]:
    return [example for example in examples if example.kind == "learning"]


def test_lines_of_the_learning_template_are_read_strictly(examples: list[Example]) -> None:
    learning = _learning(examples)
    lines = [read_line(example.target.removeprefix(" ")) for example in learning]
    assert 0.07 < len(learning) / len(examples) < 0.13
    assert {0, 1, 2, 3} <= {len(facts) for facts in lines}
    assert {sign for facts in lines for sign, *_ in facts} == {"+", "-"}
    assert all(example.closes for example in learning)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "None",
        "+ I | works as",
        "I | works as | nurse",
        "+ I | works as | nurse | now",
        "+ I | works as | nurse <sep>",
        "+  I | works as | nurse",
        "none <sep> + I | likes | jazz",
    ],
)
def test_a_line_that_is_not_the_templates_is_no_facts(line: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        read_line(line)


def test_what_is_learned_is_in_the_message_or_written_for_it(examples: list[Example]) -> None:
    written = {message.text: message for message in read_messages()}
    stated = 0
    for example in _learning(examples):
        found = LEARNED.fullmatch(example.prompt)
        assert found
        context, text = found.groups()
        facts = read_line(example.target.removeprefix(" "))
        if text in written:
            assert context == (written[text].context or "none")
            assert tuple(f"{s} {h} | {r} | {t}" for s, h, r, t in facts) == written[text].facts
            continue
        stated += 1
        assert context == "none"
        assert {sign for sign, *_ in facts} == {"+"}
        assert all(tail.casefold() in text.casefold() for *_, tail in facts)
        assert 1 <= len(facts) <= 3
    assert stated > 50
