"""The report keeps what people wrote, and shows the base model next to the adapter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evaluation.report import MARKER, Measured, Share, write


@pytest.fixture
def base() -> Measured:
    measured = Measured(perplexity=16.0, fingerprint="model-1", seconds=120)
    for hit in (True, False, False, False):
        measured.count("1 fact, by probability", "subjects", hit)
    measured.count("everyday corrections", "everyday", False)
    return measured


@pytest.fixture
def adapted() -> Measured:
    measured = Measured(
        perplexity=16.8, fingerprint="model-1", adapter_fingerprint="adapter-1", seconds=240
    )
    for split in ("subjects", "relations"):
        for hit in (True, True, True, split == "subjects"):
            measured.count("1 fact, by probability", split, hit)
    measured.count("everyday corrections", "everyday", True)
    return measured


def cells(text: str, name: str) -> list[list[str]]:
    """The rows of the tables that start with `name`."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [re.split(r" *\| *", line.strip("| ")) for line in lines]
    return [row[1:] for row in rows if row[0] == name]


def test_the_base_is_next_to_the_adapter(base: Measured, adapted: Measured, tmp_path: Path) -> None:
    path = tmp_path / "docs" / "model.md"
    write(base, adapted, path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith(MARKER)
    assert "adapter-1" in text
    overall, by_split = cells(text, "1 fact, by probability")
    assert overall == ["99%", "25.0% of 4", "87.5% of 8"]
    assert by_split == ["100.0% of 4", "- of 0", "75.0% of 4"], "subjects, wordings, relations"
    assert cells(text, "everyday corrections") == [["95%", "0.0% of 1", "100.0% of 1"]], (
        "which have no splits"
    )
    assert cells(text, "perplexity on plain text") == [["within 10%", "16.0", "16.8 (1.05x)"]]


def test_questions_of_kinds_have_a_table_of_their_own(
    base: Measured, adapted: Measured, tmp_path: Path
) -> None:
    write(base, adapted, tmp_path / "without.md")
    adapted.count("1 fact, by probability", "wordings", False, of_kinds=True)
    write(base, adapted, tmp_path / "with.md")
    without = (tmp_path / "without.md").read_text(encoding="utf-8")
    with_kinds = (tmp_path / "with.md").read_text(encoding="utf-8")
    assert with_kinds.startswith(without.rstrip("\n")), "all other figures stay"
    *_, of_kinds = cells(with_kinds, "1 fact, by probability")
    assert of_kinds == ["- of 0", "0.0% of 1", "- of 0"]


def test_what_people_wrote_above_the_tables_stays(
    base: Measured, adapted: Measured, tmp_path: Path
) -> None:
    path = tmp_path / "model.md"
    path.write_text(
        f"# The model\n\nOf 97% we are proud: naïve 犬.\n\n{MARKER}\n\n| old | 1% |\n",
        encoding="utf-8",
    )
    write(base, adapted, path)
    once = path.read_text(encoding="utf-8")
    assert once.startswith(f"# The model\n\nOf 97% we are proud: naïve 犬.\n\n{MARKER}\n\n")
    assert "old" not in once
    write(base, adapted, path)
    assert path.read_text(encoding="utf-8") == once


def test_a_head_without_a_marker_is_kept_too(
    base: Measured, adapted: Measured, tmp_path: Path
) -> None:
    path = tmp_path / "model.md"
    path.write_text("# The model\n\n", encoding="utf-8")
    write(base, adapted, path)
    assert re.match(rf"# The model\n\n{MARKER}", path.read_text(encoding="utf-8"))


def test_a_share_of_nothing_is_no_number() -> None:
    assert str(Share()) == "-"
    assert str(Share(1, 3)) == "33.3%"
