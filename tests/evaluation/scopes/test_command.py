"""`python -m evaluation scopes`, from its arguments to its last line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.__main__ import main
from tests.fixed_model import FixedModel


@pytest.fixture(autouse=True)
def _fixed_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.assemble.model", lambda _: FixedModel({}))


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, dict[str, Any]]:
    assert main(["scopes", *arguments]) == 0
    text = capsys.readouterr().out
    *lines, last = text.splitlines()
    return "\n".join(lines), json.loads(last)


def test_sets_and_kinds_are_reported_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, probes = tmp_path / "curve.svg", tmp_path / "probes.jsonl"
    files = ["--out", str(picture), "--probes", str(probes)]
    cases = ["--cases", "2", "--cases", "firstperson=3"]
    text, figures = printed(
        capsys, "--sets", "firstperson", "everyday", "kinds", *cases, *files, "--keep", "0.8"
    )
    assert "|  | firstperson | everyday | kinds | all | balanced |" in text
    assert "## Keys only" in text
    assert "## Keys and names" in text
    assert "## Keys, names and confirmation" in text
    assert "| **0.75** |" in text, "the model's own floor"
    assert "## Balanced: best floor for each sure (row) and confirmation (column)" in text
    assert figures["probes"]["firstperson"] == [6, 6]
    assert figures["probes"]["everyday"] == [4, 2]
    assert figures["own"] == {"floor": 0.75, "sure": 0.75, "confirmation": 0.125}
    assert figures["best"]["all"]["alone"] >= 0.8
    shares = figures["ways"]["keys only"]["all"]
    assert len(shares["won"]) == len(figures["floors"])
    assert shares["won"] == sorted(shares["won"], reverse=True)
    assert shares["alone"] == sorted(shares["alone"])
    assert picture.read_text(encoding="utf-8").startswith("<svg ")
    rows = [json.loads(line) for line in probes.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == sum(figures["probes"]["all"])


def test_only_the_ways_that_are_chosen_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text, _ = printed(capsys, "--sets", "kinds", "--cases", "1", "--ways", "keys")
    assert "## Keys only" in text
    assert "## Keys and names" not in text
    assert "best floor" not in text


def test_a_half_that_asks_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scopes", "--sets", "everyday", "--half", "unseen"]) == 2
    assert "asks nothing" in capsys.readouterr().err


@pytest.mark.parametrize("cases", ["x", "nothing=3", "everyday="])
def test_a_number_of_cases_is_checked(cases: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["scopes", "--cases", cases])
    assert "is neither N nor SET=N" in capsys.readouterr().err
