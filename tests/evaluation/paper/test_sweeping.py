"""Layers are tried and chosen by the whole command, on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.__main__ import main
from evaluation.paper import sweeping
from evaluation.paper.units import Units
from tests.evaluation.paper.test_running import stop_at


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def arguments(
    model_folder: Path, model_cache: Path, data: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    monkeypatch.setenv("KGT_CACHE", str(model_cache))
    return ["--model", str(model_folder), "--data", str(data), "--out", str(out)]


@pytest.fixture
def sweep(arguments: list[str]) -> list[str]:
    return ["sweep", *arguments, "--method", "FT", "--cases", "3"]


@pytest.fixture
def run(arguments: list[str]) -> list[str]:
    method = ["--method", "FT,no edit", "--base", "starter", "--sizes", "2", "--foreign", "1"]
    return ["run", *arguments, *method]


def document(capsys: pytest.CaptureFixture[str]) -> dict[tuple[int, ...], dict[str, Any]]:
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]
    return {tuple(row["layers"]): row for row in rows}


def made_best(out: Path, layer: int) -> None:
    """Let a sweep have found this layer best."""
    (path,) = (out / "work" / "sweeps").rglob("*.json")
    row = json.loads(path.read_text())
    for one in row["tried"]:
        one["efficacy"] = one["paraphrase"] = float(one["layers"] == [layer])
    path.write_text(json.dumps(row))


def test_candidates_are_compared_and_the_table_says_which_are_edited(
    sweep: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*sweep, "--layers", "1"]) == 0
    printed = capsys.readouterr().out
    assert "published: the default" in printed
    assert "best: `--layers best`" in printed
    figures = json.loads(printed.splitlines()[-1])
    assert figures["measurement"] == "sweep"
    assert [row[1] for row in figures["rows"]] == [[0], [1]], "the published layer is tried as well"


def test_what_was_tried_is_not_tried_again(
    sweep: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = stop_at(monkeypatch, sweeping, "tried", 2)
    assert main(sweep) == 130
    assert main(sweep) == 0
    assert len(calls) == 3, "two layers, one of them stopped once"
    assert set(document(capsys)) == {(0,), (1,)}
    assert main([*sweep, "--cases", "2"]) == 0
    assert len(calls) == 3 + 2, "other cases"


def test_a_run_takes_the_best_layers_and_its_row_says_so(
    sweep: list[str], run: list[str], out: Path
) -> None:
    assert main([*sweep, "--layers", "1"]) == 0
    made_best(out, layer=1)
    assert main(run) == 0
    assert main([*run, "--layers", "best"]) == 0
    assert {unit.method for unit in Units(out)} == {"FT", "FT (layers 1)", "no edit"}
    text = (out / "README.md").read_text()
    assert "### Layers, tried on cases outside of the test set" in text
    assert "python -m evaluation sweep" in text
    made_best(out, layer=0)
    for path in (out / "work" / "units").rglob("*.json"):
        path.unlink()
    assert main([*run, "--layers", "best"]) == 0
    assert {unit.method for unit in Units(out)} == {"FT", "no edit"}, "the published one is best"


def test_layers_are_not_chosen_on_cases_that_are_tested(
    sweep: list[str], run: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = ["--part", "all", "--sizes", "2"]
    assert main([*sweep, *part, "--layers", "1"]) == 0
    made_best(out, layer=1)
    assert main([*run, *part, "--layers", "best"]) == 0
    assert main([*run, *part, "--layers", "best", "--sizes", "500"]) == 2
    assert "chosen on cases that are tested" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--method", "no edit"], "'no edit' edits no layers; those that do: FT"),
        (["--layers", "2"], "the model's layers are 0 to 1"),
        (["--part", "all", "--sizes", "500"], "no case is outside of the test set"),
    ],
)
def test_what_cannot_be_swept_is_refused(
    given: list[str], told: str, sweep: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*sweep, *given]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("given", [["--layers", "x"], ["--layers", "3-1"], ["--cases", "0"]])
def test_wrong_numbers_are_refused(given: list[str], sweep: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main([*sweep, *given])
    assert error.value.code == 2
