"""A workspace's graph as Neo4j's statements take it, live and offline."""

from __future__ import annotations

from collections.abc import Mapping

from kgload.targets.protocol import source_note
from kgload.workspace import Workspace
from server.stores.neo4j.base import BaseNotes


def surface_of(workspace: Workspace) -> str:
    """The expression for an edge's surface text in a statement; one's own triples have none."""
    return "e.surface" if workspace.recipe.surface_text else "NULL::VARCHAR"


def names_of(workspace: Workspace, kinds: Mapping[str, str]) -> dict[str, object]:
    """The relations and sources as parameters of a statement.

    `kinds` gives the type of a relation where it differs from the name.
    """
    return {
        "relations": [
            {"id": number, "name": name, "kind": kinds.get(name, name)}
            for number, name, _ in workspace.relations
        ],
        "sources": [
            {"id": number, "dataset": dataset, "license": license}
            for number, dataset, license in workspace.sources
        ],
    }


def notes_of(workspace: Workspace) -> BaseNotes:
    """What the graph keeps of where it came from."""
    return BaseNotes(source_note(workspace), workspace.recipe.declared)
