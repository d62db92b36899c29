"""The note of a workspace is read exactly, also as the version before wrote it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kgload import filling
from kgload.merging import RelationCounts
from kgload.notes import to_note
from kgload.recipe import Recipe
from kgload.source import Identity
from kgload.targets.protocol import LoadedFrom, described
from kgload.workspace import NOTE, Workspace, read_workspace, write_workspace
from server.graph.relation import Vocabulary
from tests.kgload.dumps import edges, load

INTERRUPTED = Path(__file__).parent / "interrupted"
"""A dump, and the workspace of a load of it that was cut off, as the version before wrote it."""
VOCABULARY_OF_THEN = "b4d21e3289e4c606"
MODIFIED_NS = 1_700_000_000 * 10**9
IDENTITY = Identity("dump.csv", 477, "0" * 64, MODIFIED_NS)


def workspace(folder: Path) -> Workspace:
    return Workspace(
        folder=folder,
        concepts=4,
        edges=2,
        relations=[(-1, "Antonym", 1), (2, "IsA", 1)],
        sources=[(1, "/d/conceptnet/4/en", "cc:by/4.0")],
        fingerprint="05b7d335a1ec02c1",
        identity=IDENTITY,
        recipe=Recipe(languages=("en", "fr"), min_weight=1),
        read=4,
        left_out={"--language": 1},
        rejected=1,
        kept=2,
        by_relation={"IsA": RelationCounts(1, 1, 1)},
    )


def test_a_workspace_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_workspace(workspace(tmp_path))
    assert read_workspace(tmp_path) == workspace(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.update(version=2),
        lambda document: document.pop("version"),
        lambda document: document.pop("edges"),
        lambda document: document.update(edges="2"),
        lambda document: document.update(more=1),
        lambda document: document["recipe"].update(more=1),
        lambda document: document["recipe"].update(languages="en"),
        lambda document: document["identity"].pop("digest"),
        lambda document: document["relations"].append([3, "PartOf"]),
    ],
)
def test_a_note_that_is_not_exactly_a_workspace_counts_as_none(
    spoil: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    write_workspace(workspace(tmp_path))
    document = json.loads((tmp_path / NOTE).read_text(encoding="utf-8"))
    spoil(document)
    (tmp_path / NOTE).write_text(json.dumps(document), encoding="utf-8")
    assert read_workspace(tmp_path) is None


@pytest.mark.parametrize("written", ["", "{", "[]", "1", '{"version": 3}', "\0"])
def test_a_damaged_note_counts_as_none(written: str, tmp_path: Path) -> None:
    (tmp_path / NOTE).write_text(written, encoding="utf-8")
    assert read_workspace(tmp_path) is None


def test_what_a_base_says_of_its_source_is_read_exactly_or_not_at_all() -> None:
    loaded = LoadedFrom(IDENTITY, Recipe(vocabulary="ffff"))
    assert described("f", to_note(loaded)).source == loaded
    assert described("f", to_note(loaded).replace('"layout"', '"pattern"')).source is None
    assert described("f", "").source is None


def test_a_load_that_the_version_before_began_is_taken_up(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(shutil.copy(INTERRUPTED / "dump.csv", tmp_path))
    os.utime(file, ns=(MODIFIED_NS, MODIFIED_NS))
    left = Path(shutil.copytree(INTERRUPTED, data / ".loading" / "stage"))
    note = (left / NOTE).read_text(encoding="utf-8")
    today = Vocabulary.built_in().fingerprint  # its words may have changed since
    (left / NOTE).write_text(note.replace(VOCABULARY_OF_THEN, today), encoding="utf-8")
    monkeypatch.setattr(filling, "_filled", lambda *_: pytest.fail("read again"))
    assert load("conceptnet", file, "--min-weight", "0.5", data=data) == 0
    assert edges(data) == {("dog", "IsA", "pet"), ("cold", "Antonym", "hot")}
