"""The measurement of subject finding, on a data set of the test's own."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from evaluation import subjects
from evaluation.__main__ import main

TRIPLES = [
    ("Desires", "dog", "bone"),
    ("AtLocation", "polar bear", "zoo"),
    ("HasProperty", "what", "question"),
    ("HasPrerequisite", "eat breakfast", "wake up"),
    ("HasPrerequisite", "eat lunch", "be hungry"),
    ("HasFirstSubevent", "eat dinner", "sit down"),
    ("RelatedTo", "never asked", "word"),
]
CASES = [
    {
        "prompt": "The mother tongue of Danielle Darrieux is",
        "subject": "Danielle Darrieux",
        "rephrase_prompt": "It rained. Danielle Darrieux is a native speaker of",
    },
    {
        "prompt": "The Edge of Night first aired on",
        "subject": "The Edge of Night",
        "rephrase_prompt": "My favourite show is something else",
    },
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "conceptnet100k.tsv").write_text("".join("\t".join(t) + "\n" for t in TRIPLES))
    (tmp_path / "counterfact.jsonl").write_text("".join(json.dumps(c) + "\n" for c in CASES))
    return tmp_path


def measured(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], dict[str, Any]]:
    """The lines before the last, and the JSON document in the last."""
    *shown, last = capsys.readouterr().out.splitlines()
    return shown, json.loads(last)


def test_hits_of_both_wordings_and_of_the_same_concept_are_counted(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["subjects", "--data", str(data)]) == 0
    shown, document = measured(capsys)
    assert document["measurement"] == "subjects"
    assert document["sets"]["CounterFact"] == {
        "cases": 2,
        "query": 1.0,
        "paraphrase": 0.5,
        "same_concept": 0.5,
    }
    heads = document["sets"]["ConceptNet's heads"]
    assert (heads["cases"], heads["query"]) == (6, round(5 / 6, 4)), (
        "all but the head 'what', which no rule finds"
    )
    clean = document["sets"]["... without edges that are function words"]
    assert (clean["cases"], clean["query"], clean["paraphrase"], clean["same_concept"]) == (
        5,
        1.0,
        1.0,
        1.0,
    )
    assert any(line.startswith("CounterFact") and "50.0%" in line for line in shown)


def test_the_same_data_gives_the_same_figures(data: Path) -> None:
    assert subjects.as_json(subjects.measure(data, 3)) == subjects.as_json(
        subjects.measure(data, 3)
    )


def test_misses_are_shown_when_asked(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["subjects", "--data", str(data), "--misses", "--limit", "2"])
    shown, document = measured(capsys)
    assert any(
        line.startswith("  'My favourite show is something else'; 'edge of night'; ")
        for line in shown
    )
    assert document["sets"]["CounterFact"]["cases"] == 2


def test_each_head_is_asked_about_once_as_people_would(data: Path) -> None:
    asked = {
        a.concept: a
        for a in subjects.ask_about_heads(subjects.read_triples(data), random.Random(1))
    }
    assert asked.keys() == {head for relation, head, _ in TRIPLES if relation != "RelatedTo"}
    assert all(
        a.query != a.paraphrase and "{" not in a.query + a.paraphrase for a in asked.values()
    )
    assert all("dog" in question for question in (asked["dog"].query, asked["dog"].paraphrase))
    breakfast = asked["eat breakfast"]
    assert all(
        "eat breakfast" in q or "eating breakfast" in q.lower()
        for q in (breakfast.query, breakfast.paraphrase)
    )


def test_the_public_form_of_counterfact_is_read_too(data: Path) -> None:
    row = {
        "requested_rewrite": {
            "prompt": "The mother tongue of {} is",
            "subject": "Danielle Darrieux",
        },
        "paraphrase_prompts": ["Danielle Darrieux is a native speaker of", "another"],
    }
    (data / "counterfact.jsonl").write_text(json.dumps([row], indent=1))
    assert subjects.read_counterfact(data) == [
        subjects.Asked(
            "Danielle Darrieux",
            "The mother tongue of Danielle Darrieux is",
            "Danielle Darrieux is a native speaker of",
        )
    ]


@pytest.mark.parametrize(
    ("name", "origin"),
    [("conceptnet100k.tsv", "Li et al. 2016"), ("counterfact.jsonl", "Meng et al. 2022")],
)
def test_a_missing_file_is_said_with_its_origin(
    data: Path, name: str, origin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / name).unlink()
    assert main(["subjects", "--data", str(data)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert str(data / name) in printed.err
    assert origin in printed.err
    assert "Traceback" not in printed.err
