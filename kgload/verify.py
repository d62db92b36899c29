"""`python -m kgload verify`: compares the base in a store with the file that it was loaded from.

The counts of each relation are compared, and a sample of edges in full.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from kgload import queries
from kgload.database import Database, quoted
from kgload.errors import LoadError
from kgload.formats import FORMATS
from kgload.limits import Limits
from kgload.load import workspace_of
from kgload.report import Report
from kgload.scratch import SCRATCH, scratch_folder
from kgload.source import open_source
from kgload.targets.protocol import Plan, Sampled, StoredBase
from kgload.workspace import Workspace
from server.graph.relation import Vocabulary

SAMPLED_EDGES = 1000


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a comparison."""

    by_relation: tuple[tuple[str, int, int], ...]
    """(relation, edges in the file, edges in the store)"""
    sampled: int
    differences: tuple[str, ...]
    """In words."""


def verify(
    base: StoredBase,
    folder: Path,
    file: str | None,
    vocabulary: Vocabulary,
    limits: Limits,
    report: Report,
) -> Check:
    """Make the graph of the base's file again, in `folder`, and compare.

    `file` is where the file is now, if it has moved. Raises LoadError: a base that does not say
    where it came from, a file that cannot be read.
    """
    loaded = base.present().source
    if loaded is None or loaded.recipe.form not in FORMATS:
        raise LoadError("the base does not say what it was made of; load it again")
    if loaded.recipe.declared:
        vocabulary = vocabulary.extended(loaded.recipe.declared)
    if loaded.recipe.vocabulary not in ("", vocabulary.fingerprint):
        raise LoadError(
            "the base was loaded with another relation vocabulary: give the same --vocabulary"
        )
    with scratch_folder(folder) as scratch:
        again = scratch / "verify"
        try:
            again.mkdir(exist_ok=True)
            source = open_source(file or loaded.identity.name, again, report)
            plan = Plan(str(source.path), loaded.recipe, vocabulary, folder, limits)
            workspace = workspace_of(plan, source, again / "stage", report)
            with report.phase("comparing"):
                return _compared(workspace, base, limits)
        finally:
            shutil.rmtree(again, ignore_errors=True)
            if [p.name for p in (folder / SCRATCH).iterdir()] == ["lock"]:
                shutil.rmtree(folder / SCRATCH, ignore_errors=True)


def _compared(workspace: Workspace, base: StoredBase, limits: Limits) -> Check:
    stored = base.counted_relations()
    expected = {name: edges for _, name, edges in workspace.relations}
    counts = tuple(
        (name, expected.get(name, 0), stored.get(name, 0)) for name in sorted({*expected, *stored})
    )
    differences = [
        f"{name}: {a:,} edges in the file, {b:,} in the store" for name, a, b in counts if a != b
    ]
    concepts = base.concepts()
    if concepts != workspace.concepts:
        differences.append(
            f"{workspace.concepts:,} concepts in the file, {concepts:,} in the store"
        )
    sample = _sample(workspace, limits)
    differences += base.differing(sample)
    if not differences and base.fingerprint != workspace.fingerprint:
        differences.append("the counts and the sample agree, but the fingerprints do not")
    return Check(counts, len(sample), tuple(differences))


def _sample(workspace: Workspace, limits: Limits) -> list[Sampled]:
    """Some edges of the file, the same ones each time."""
    query = queries.SAMPLE.format(
        edges=quoted(workspace.edges_file),
        concepts=quoted(workspace.concepts_file),
        count=SAMPLED_EDGES,
        surface="e.surface" if workspace.recipe.surface_text else "NULL",
    )
    parameters = {
        "relations": [{"id": i, "name": name} for i, name, _ in workspace.relations],
        "sources": [{"id": i, "dataset": d, "license": li} for i, d, li in workspace.sources],
    }
    with Database(limits, workspace.folder / "spill") as db:
        return [Sampled(*row) for row in db.rows(query, parameters)]
