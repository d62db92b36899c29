from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.methods.method import EditCase, Probe
from evaluation.paper.reading import EmptyDataset, read_dataset
from training.sources import DataMissing

FLAT: dict[str, Any] = {
    "case_id": 0,
    "prompt": "The mother tongue of Danielle Darrieux is",
    "target_new": "English",
    "subject": "Danielle Darrieux",
    "ground_truth": "French",
    "rephrase_prompt": "Where Danielle Darrieux is from, people speak",
    "locality_prompt": "Michel Rocard is a native speaker of",
    "locality_ground_truth": "French",
}
NESTED: dict[str, Any] = {
    "case_id": 0,
    "requested_rewrite": {
        "prompt": "The mother tongue of {} is",
        "relation_id": "P103",
        "target_new": {"str": "English", "id": "Q1860"},
        "target_true": {"str": "French", "id": "Q150"},
        "subject": "Danielle Darrieux",
    },
    "paraphrase_prompts": ["Where Danielle Darrieux is from, people speak"],
    "neighborhood_prompts": ["Michel Rocard is a native speaker of"],
    "attribute_prompts": [],
    "generation_prompts": ["Danielle Darrieux's mother tongue is"],
}
EXTENDED: dict[str, Any] = {
    "case_id": 0,
    "requested_rewrite": {**NESTED["requested_rewrite"], "relation_id": "P103(native language)"},
    "generation_prompts": ["Danielle Darrieux's mother tongue is"],
}


def write(folder: Path, *rows: dict[str, Any] | str, name: str = "cases.jsonl") -> Path:
    path = folder / name
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read(path: Path) -> tuple[EditCase, ...]:
    return read_dataset("counterfact", path, "ROME").cases


def test_both_public_forms_are_the_same_case(tmp_path: Path) -> None:
    flat = read(write(tmp_path, FLAT))
    (tmp_path / "array.json").write_text(json.dumps([NESTED]))
    nested = read(tmp_path / "array.json")
    assert nested[0].relation == "P103"
    assert nested[0].other_subjects == (Probe("Michel Rocard is a native speaker of", "French"),)
    for name in EditCase.__slots__:
        if name != "relation":
            assert getattr(flat[0], name) == getattr(nested[0], name), name


def test_the_extension_names_its_relation_and_paraphrase_in_its_own_way(tmp_path: Path) -> None:
    (case,) = read(write(tmp_path, EXTENDED))
    assert (case.relation, case.paraphrases) == ("P103", ("Danielle Darrieux's mother tongue is",))


@pytest.mark.parametrize(
    ("row", "kind", "why"),
    [
        ("{", "MalformedLine", "not JSON"),
        ("[]", "MalformedLine", "not a JSON object"),
        ({**FLAT, "target_new": " "}, "MalformedLine", "target_new is not a text"),
        ({k: v for k, v in FLAT.items() if k != "prompt"}, "MalformedLine", "prompt is not a text"),
        ({**FLAT, "subject": "Nobody"}, "SubjectNotInPrompt", "the subject is not in"),
        ({**FLAT, "rephrase_prompt": "She speaks"}, "SubjectNotInPrompt", "the subject is not in"),
        ({**NESTED, "requested_rewrite": {}}, "MalformedLine", "subject is not a text"),
    ],
)
def test_what_cannot_be_used_is_listed_with_its_line(
    row: dict[str, Any] | str, kind: str, why: str, tmp_path: Path
) -> None:
    dataset = read_dataset("counterfact", write(tmp_path, FLAT, row, NESTED), "ROME")
    assert len(dataset.cases) == 2
    (left_out,) = dataset.left_out
    assert (left_out.place, left_out.kind) == ("cases.jsonl:2", kind)
    assert why in left_out.why


@pytest.mark.parametrize("text", ["", "\n\n", "{}\n", "[1, 2"])
def test_a_file_without_cases_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    path.write_text(text)
    with pytest.raises(EmptyDataset):
        read(path)


def test_a_missing_file_is_named_with_its_origin(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="ROME"):
        read(tmp_path / "nothing.jsonl")
