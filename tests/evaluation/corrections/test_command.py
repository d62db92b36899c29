"""`python -m evaluation corrections`, from its arguments to its last line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.__main__ import main
from tests.evaluation.corrections.asking import write
from tests.fixed_model import FixedModel
from training.sources import in_unseen_half

DOGS = [n for n in range(20) if not in_unseen_half(f"dog {n}")][:2]


@pytest.fixture
def _fixed_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the command's server a model of known answers."""
    model = FixedModel({f"What does dog {n} enjoy?": "likes" for n in DOGS})

    async def loaded(_: Any) -> FixedModel:
        return model

    monkeypatch.setattr("server.assemble.loaded_model", loaded)


@pytest.mark.usefixtures("_fixed_model")
def test_the_last_line_is_json_and_the_cases_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[Any] = [
        {
            "id": n,
            "subject": f"dog {n}",
            "query": f"What does dog {n} enjoy?",
            "answer": "meat",
            "paraphrases": [f"What is for dog {n}?"],
            "unrelated": [],
        }
        for n in DOGS
    ]
    data, out = write(tmp_path, "knowedit", [*rows, "{}"]), tmp_path / "out.jsonl"
    arguments = ["corrections", "--set", "knowedit", "--data", str(data), "--misses"]
    assert main([*arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    figures = json.loads(printed.splitlines()[-1])
    assert (figures["cases"], figures["users"], figures["malformed"]) == (2, 2, 1)
    assert figures["questions"]["followed"]["won"] == 2
    assert "malformed: knowedit.jsonl:3: query is not a text" in printed
    assert "alias: " in printed
    assert len(out.read_text().splitlines()) == 2


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corrections", "--set", "twice", "--data", str(tmp_path)]) == 2
    assert "twice.jsonl is missing" in capsys.readouterr().err
