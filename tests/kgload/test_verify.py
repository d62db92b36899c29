"""`verify`: whether the store holds what the file says."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bench.generate import generate
from kgload.__main__ import main
from server.stores.sqlite.base import BASE_FILE
from tests.kgload.dumps import DECLARED, OWN_TRIPLES, dump, line, load


def test_verify_finds_the_store_as_the_file_says(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dump.csv"
    generate(file, 2500)
    load("conceptnet", file, "--min-weight", "0.5", data=data)
    moved = file.rename(tmp_path / "moved.csv")
    assert main(["verify", "--data", str(data)]) == 2, "the file is not where it was"
    assert main(["verify", str(moved), "--data", str(data)]) == 0
    assert "1,000 compared one by one" in capsys.readouterr().out
    assert [p.name for p in data.iterdir()] == [BASE_FILE]


def test_verify_works_for_triples_too(tmp_path: Path, data: Path) -> None:
    (tmp_path / "graph.jsonl").write_text(OWN_TRIPLES["graph.jsonl"], encoding="utf-8")
    (tmp_path / "own.toml").write_text(DECLARED, encoding="utf-8")
    load("triples", tmp_path / "graph.jsonl", "--declare", tmp_path / "own.toml", data=data)
    assert main(["verify", "--data", str(data)]) == 0


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (
            "DELETE FROM edges WHERE rank = 0"
            " AND relation = (SELECT id FROM relations WHERE name = 'IsA')",
            "IsA:",
        ),
        ("UPDATE edges SET weight = weight + 1", "another weight"),
        ("UPDATE concepts SET key = key || 'x' WHERE id = 1", "is not in the store"),
        ("UPDATE meta SET value = 'ffff' WHERE key = 'fingerprint'", "fingerprints"),
    ],
)
def test_verify_tells_what_differs(
    damage: str, complaint: str, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = dump(
        tmp_path / "dump.csv", [line("IsA", "dog", "pet"), line("UsedFor", "dog", "hunting")]
    )
    load("conceptnet", file, data=data)
    with sqlite3.connect(data / BASE_FILE) as connection:
        connection.execute(damage)
    capsys.readouterr()
    assert main(["verify", "--data", str(data)]) == 1
    assert complaint in capsys.readouterr().out
