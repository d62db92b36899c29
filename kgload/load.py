"""A load from beginning to end: find the file, fill the workspace, put the graph in the target."""

from __future__ import annotations

from pathlib import Path

from kgload.filling import filled_workspace
from kgload.formats import FORMATS
from kgload.report import Report
from kgload.scratch import clear_scratch, require_room, scratch_folder
from kgload.source import Source, open_source
from kgload.targets.protocol import Plan, Target
from kgload.workspace import Workspace


def load(plan: Plan, target: Target, report: Report) -> Workspace | None:
    """Load a file into a target; None where the target holds this very load already.

    The workspace stays until the target has the graph, so an interrupted load goes on. Raises
    LoadError and its kinds, and StoreUnusable.
    """
    with target.ready(), scratch_folder(plan.folder) as scratch:
        source = open_source(plan.file, scratch, report)
        if target.holds(plan, source.identity):
            clear_scratch(plan.folder)
            report.line(f"{plan.folder} holds this graph already; nothing was changed")
            return None
        workspace = workspace_of(plan, source, scratch / "stage", report)
        target.put(workspace, plan, scratch)
        clear_scratch(plan.folder)
    return workspace


def workspace_of(plan: Plan, source: Source, folder: Path, report: Report) -> Workspace:
    """The workspace for a plan's file, in `folder`. Raises LoadError and its kinds."""
    recipe = plan.recipe
    if source.path.exists():  # a download is gone once an interrupted load has read it
        form = FORMATS[recipe.form]
        form.require(source)
        require_room(folder.parent, form.kept_bytes(source, recipe))
    return filled_workspace(source, recipe, plan.vocabulary, folder, plan.limits, report)


def summarize(workspace: Workspace, report: Report) -> None:
    """Print what was read and what became of it, by relation and in all."""
    by_relation = sorted(workspace.by_relation.items(), key=lambda item: (-item[1].read, item[0]))
    rows = [
        (name, counts.read, counts.kept, counts.kept - counts.edges, counts.edges)
        for name, counts in by_relation
    ]
    report.table("By relation", ("relation", "read", "kept", "merged", "edges"), rows)
    totals: list[tuple[str, int]] = [
        ("lines read", workspace.read),
        *((f"left out: {why}", count) for why, count in workspace.left_out.items()),
        ("rejected", workspace.rejected),
        ("kept", workspace.kept),
        ("merged into others", workspace.merged),
        ("edges", workspace.edges),
        ("concepts", workspace.concepts),
        ("relations", len(workspace.relations)),
    ]
    report.table("In all", ("what", "count"), totals)
    report.line(
        f"base graph {workspace.fingerprint}: {workspace.edges} triples,"
        f" {workspace.concepts} concepts"
    )
    if workspace.recipe.attribution:
        report.line(workspace.recipe.attribution)
