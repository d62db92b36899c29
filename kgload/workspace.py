"""The workspace of a load: a folder with the merged graph, and a note of how it was made.

concepts.parquet, edges.parquet   the graph (kgload.merging)
stage.json                        written last: what was read, counted, and the fingerprint

An interrupted load leaves its workspace behind, and the next one goes on from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from kgload.merging import MergedGraph, RelationCounts
from kgload.notes import from_note
from kgload.recipe import Recipe
from kgload.source import Identity

VERSION = 3
NOTE = "stage.json"


@dataclass(frozen=True, slots=True)
class Workspace(MergedGraph):
    """A merged graph in its folder, and what is known of the file that it was made of."""

    identity: Identity
    recipe: Recipe
    read: int
    left_out: Mapping[str, int]
    """By the option that left them out."""
    rejected: int
    kept: int
    by_relation: Mapping[str, RelationCounts]
    """By the graph's names."""

    @property
    def merged(self) -> int:
        """Lines that said the same as another one."""
        return self.kept - self.edges


def write_workspace(workspace: Workspace) -> None:
    """Note that the workspace is complete."""
    document = {"version": VERSION, **asdict(workspace)}
    del document["folder"]
    draft = workspace.folder / f"{NOTE}.new"
    draft.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    draft.replace(workspace.folder / NOTE)


def read_workspace(folder: Path) -> Workspace | None:
    """The workspace in a folder; None where there is no complete one of this version."""
    try:
        document = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        if not isinstance(document, dict) or document.pop("version", None) != VERSION:
            return None
        return from_note(Workspace, json.dumps({**document, "folder": str(folder)}))
    except (OSError, ValueError):
        return None
