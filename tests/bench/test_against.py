"""A benchmark runs on two checkouts in turns, and the figures of both are compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import against


def checkout(folder: Path, document: Any) -> Path:
    """A source whose benchmark `measured` prints its arguments and a document."""
    folder.mkdir()
    (folder / "measured.py").write_text(
        f"import sys\nprint(sys.argv[1:])\nprint({json.dumps(document)!r})\n"
    )
    return folder


def test_numbers_are_found_under_what_distinguishes_them() -> None:
    document = [
        {"model": "gpt2", "n": 10, "seconds": {"engine": 0.5, "loop": None}},
        {"model": "gpt2", "n": 50, "seconds": {"engine": 2}},
    ]
    assert dict(against.figures(document)) == {
        "model=gpt2 n=10 seconds engine": 0.5,
        "model=gpt2 n=50 seconds engine": 2.0,
    }
    assert dict(against.figures({"times": [1, 2], "ok": True})) == {"times 0": 1.0, "times 1": 2.0}


def test_each_checkout_runs_in_turn_with_the_same_arguments(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    here = checkout(tmp_path / "here", [{"n": 1, "ms": 10, "new": 1}])
    there = checkout(tmp_path / "there", [{"n": 1, "ms": 20, "none": 0}])
    arguments = ["--each", "5", "--checkout", str(there), "--turns", "2", "--quick"]
    against.compare("measured", arguments, here)
    lines = capfd.readouterr().out.splitlines()
    assert json.loads(lines[-1]) == [{"figure": "n=1 ms", "here": 10, "there": 20, "ratio": 0.5}]
    turns = [line.rpartition(" ")[2] for line in lines if line.startswith("turn ")]
    assert turns == [str(here), str(there)] * 2


def test_the_options_of_the_comparison_are_not_passed_on(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "measured.py").write_text("import sys, json\nprint(json.dumps(len(sys.argv)))\n")
    arguments = ["--each", "5", "--checkout", str(folder), "--turns", "1"]
    own, passed_on = against.options().parse_known_args(arguments)
    assert (own.turns, passed_on) == (1, ["--each", "5"])
    assert against._measured("measured", passed_on, folder) == 3


def test_a_benchmark_that_fails_ends_the_comparison(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "measured.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(SystemExit, match="ended with 3"):
        against.compare("measured", ["--checkout", str(folder)], folder)
