from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.methods.method import EditCase, Probe
from evaluation.paper.completing import Completer, companions, labels_of
from evaluation.paper.pararel import ParaRel
from training.sources import Sources

CASE = EditCase("7", "Person Number1", "Person Number1 was born in", "Town3", "Town1")


@pytest.fixture
def completer(data: Path) -> Completer:
    return Completer(ParaRel(data), Sources(data))


@pytest.mark.parametrize(
    ("case", "relation"),
    [
        (CASE, "P19"),
        (replace(CASE, relation="P20"), "P20"),
        (replace(CASE, prompt="Person Number1, of", target_true="Faith1"), "P140"),
        (replace(CASE, prompt="Person Number1, of"), ""),
        (replace(CASE, prompt="Nobody, of", subject="Nobody"), ""),
    ],
    ids=["by its prompt", "named", "by its fact", "two relations have that fact", "unknown"],
)
def test_a_relation_is_the_datas_own_or_one_that_is_sure(
    case: EditCase, relation: str, completer: Completer
) -> None:
    assert completer.completed(case).relation == relation


def test_the_same_prompt_is_asked_about_other_subjects(completer: Completer) -> None:
    probes = completer.completed(CASE).other_subjects
    assert len(probes) == 2
    for probe in probes:
        assert probe.prompt.endswith(" was born in")
        assert CASE.subject not in probe.prompt.split(" was")[0].split("  ")
        assert probe.answer.startswith("Town")
    own = (Probe("Another was born in", "Town1"),)
    assert completer.completed(replace(CASE, other_subjects=own)).other_subjects == own


def test_other_relations_of_the_subject_are_asked_the_known_ones_first(
    completer: Completer,
) -> None:
    case = completer.completed(CASE)
    assert case.same_subject == (Probe("The official religion of Person Number1 is", "Faith1"),), (
        "P495 has the same answer, and no other relation has a pattern here"
    )
    assert completer.completed(CASE) == case, "nothing is drawn anew"


def test_a_mother_tongue_says_nothing_of_what_somebody_plays() -> None:
    assert "P1303" in companions("P103")
    assert "P1412" not in companions("P103"), "but of what they speak"
    assert "P27" not in companions("P19")
    assert "P36" not in companions("P19"), "a person has no capital"


def test_labels_are_those_of_every_prompt_about_the_subject() -> None:
    case = replace(CASE, relation="P19", paraphrases=("It rained. Person Number1 is from",))
    case = replace(case, same_subject=(Probe("Person Number1 likes", ""),))
    labels = labels_of([case, replace(CASE, subject="", prompt="My dog is")], {"P19": "birth"})
    assert set(labels.subjects) == {case.prompt, *case.paraphrases, "Person Number1 likes"}
    assert set(labels.subjects.values()) == {"Person Number1"}
    assert labels.relations == {case.prompt: "birth"}
