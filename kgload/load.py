"""A load from beginning to end: find the file, stage it, bring it into the store, say what came of
it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kgload.embedded import (
    BATCH,
    clear_scratch,
    load_stage,
    present_base,
    refuse_other,
    require_room,
    scratch_folder,
)
from kgload.errors import OtherBase
from kgload.report import Report
from kgload.rows import Item
from kgload.source import Source, open_source, require_conceptnet
from kgload.staging import Limits, Recipe, Stage, stage_file
from server.graph.relation import Vocabulary

CONCEPTNET_ATTRIBUTION = """\
This graph includes data from ConceptNet 5, which was compiled by the Commonsense Computing Initiative. ConceptNet 5 is
freely available under the Creative Commons Attribution-ShareAlike license (CC BY-SA 4.0) from https://conceptnet.io.
The included data was created by contributors to Commonsense Computing projects, contributors to Wikimedia projects,
Games with a Purpose, Princeton University's WordNet, DBPedia, OpenCyc, and Umbel."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to load into which embedded store."""

    file: str
    recipe: Recipe
    vocabulary: Vocabulary
    folder: Path
    limits: Limits
    replace: bool = False
    batch: int = BATCH


def load_embedded(
    plan: Plan, report: Report, rows: Callable[[Source], Iterable[Item]] | None = None
) -> Stage | None:
    """Load into the embedded store; None where it holds this very load already.

    The same graph again changes nothing. Raises LoadError and its kinds; the base in place is whole
    at any moment.
    """
    with scratch_folder(plan.folder) as scratch:
        source = open_source(plan.file, scratch, report)
        present = present_base(plan.folder)
        if (
            present.fingerprint
            and not plan.replace
            and refuse_other(present, plan.folder, source.identity, plan.recipe)
        ):
            clear_scratch(plan.folder)
            report.line(f"{plan.folder} holds this graph already; nothing was changed")
            return None
        stage = staged(plan, source, scratch / "stage", report, rows)
        if present.fingerprint == stage.fingerprint and present.recipe in (None, plan.recipe):
            report.line(f"{plan.folder} holds this graph already; nothing was changed")
        else:
            if present.fingerprint and not plan.replace:
                raise OtherBase(
                    f"{plan.folder} holds another base graph already; pass --replace to put this one in its place"
                    " (users' edits stay)"
                )
            load_stage(stage, plan.folder, scratch, plan.limits, report, plan.batch)
        clear_scratch(plan.folder)
    return stage


def load_graph(
    plan: Plan,
    report: Report,
    rows: Callable[[Source], Iterable[Item]] | None,
    put: Callable[[Stage], None],
) -> Stage:
    """Load into a Neo4j: `put` brings the stage there. What was staged stays until it has. Raises
    LoadError and its kinds."""
    with scratch_folder(plan.folder) as scratch:
        source = open_source(plan.file, scratch, report)
        stage = staged(plan, source, scratch / "stage", report, rows)
        put(stage)
        clear_scratch(plan.folder)
    return stage


def staged(
    plan: Plan,
    source: Source,
    folder: Path,
    report: Report,
    rows: Callable[[Source], Iterable[Item]] | None = None,
) -> Stage:
    """The stage of a plan's file. Raises LoadError."""
    if (
        source.path.exists()
    ):  # a download that was staged before the load was cut off is there no more
        if plan.recipe.form == "conceptnet":
            require_conceptnet(source)
        require_room(
            folder.parent,
            source.plain_bytes if plan.recipe.form == "triples" else _kept_bytes(source, plan),
        )
    return stage_file(
        source,
        plan.recipe,
        plan.vocabulary,
        folder,
        plan.limits,
        report,
        rows(source) if rows else (),
    )


def _kept_bytes(source: Source, plan: Plan) -> int:
    """How much of a dump will be kept, at a guess that errs low: with one language, a tenth of the
    whole dump."""
    return (
        source.plain_bytes // 10
        if plan.recipe.languages or plan.recipe.relations
        else source.plain_bytes
    )


def summarize(stage: Stage, report: Report) -> None:
    """Print what was read and what became of it, by relation."""
    rows = [
        (name, counts.read, counts.kept, counts.kept - counts.edges, counts.edges)
        for name, counts in sorted(
            stage.by_relation.items(), key=lambda item: (-item[1].read, item[0])
        )
    ]
    report.table("By relation", ("relation", "read", "kept", "merged", "edges"), rows)
    totals: list[tuple[str, int]] = [
        ("lines read", stage.read),
        *((f"left out: {why}", count) for why, count in stage.left_out.items()),
        ("rejected", stage.rejected),
        ("kept", stage.kept),
        ("merged into others", stage.merged),
        ("edges", stage.edges),
        ("concepts", stage.concepts),
        ("relations", len(stage.relations)),
    ]
    report.table("In all", ("what", "count"), totals)
    report.line(f"base graph {stage.fingerprint}: {stage.edges} triples, {stage.concepts} concepts")
    if stage.recipe.attribution:
        report.line(stage.recipe.attribution)
