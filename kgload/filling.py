"""From a file to its workspace: read, find the concepts, merge and rank the edges.

Every target loads from what this leaves, so all of them get the same graph.
"""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path

import duckdb

from kgload import queries
from kgload.database import Database, translated
from kgload.errors import LoadError, Miscounted
from kgload.formats import FORMATS
from kgload.formats.protocol import Job
from kgload.limits import Limits
from kgload.merging import Counts, MergedGraph, Merging, define_keys
from kgload.recipe import Recipe
from kgload.rejects import Rejects
from kgload.report import Report
from kgload.source import Source
from kgload.workspace import Workspace, read_workspace, write_workspace
from server.graph.relation import Vocabulary

_INTERMEDIATE = ("raw.parquet", "rows.tsv", "lines.tsv")


def filled_workspace(
    source: Source,
    recipe: Recipe,
    vocabulary: Vocabulary,
    folder: Path,
    limits: Limits,
    report: Report,
) -> Workspace:
    """The workspace of `source` in `folder`: the one that an interrupted run left, or a new one.

    Raises LoadError and its kinds; `folder` then holds nothing that a later run would use.
    """
    present = read_workspace(folder)
    if present and present.recipe == recipe and present.identity.same_file(source.identity):
        report.note(f"going on with {present.edges:,} edges that were staged before")
        return present
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with Database(limits, folder / "spill") as db:
            define_keys(db)
            rejects = Rejects(source.path, limits, report)
            workspace = _filled(Job(source, recipe, folder, db, rejects, report), vocabulary)
    except (duckdb.Error, OSError) as error:
        raise translated(error, source.identity.name, folder) from error
    finally:
        _tidy(folder)
    write_workspace(workspace)
    return workspace


def _filled(job: Job, vocabulary: Vocabulary) -> Workspace:
    """One run of the pipeline."""
    report, surfaces = job.report, job.recipe.surface_text
    reading = FORMATS[job.recipe.form].reading(job)
    malformed = reading.read()
    merging = Merging(job.db, vocabulary, job.folder)
    with report.phase("finding the concepts") as phase:
        in_one_language = len(job.recipe.languages) == 1
        texts = queries.TEXTS_IN_ONE_LANGUAGE if in_one_language else queries.TEXTS
        merging.find_concepts(phase, texts)
        rejected = malformed + merging.unusable()
    reading.tell_rejected(rejected)
    if job.rejects.are_too_many(rejected):
        job.rejects.stop(rejected)
    with report.phase("merging and sorting the edges") as phase:
        edges = merging.merge(phase, surfaces=surfaces)
        counts = merging.counts()
        _require_all_counted(job, reading.records, counts, rejected)
        if edges == 0:
            raise LoadError(_nothing_kept(job, counts, rejected))
        merging.rank(phase, surfaces=surfaces)
    with report.phase("taking the graph's fingerprint"):
        graph = merging.graph()
    return _workspace(job, graph, reading.records, counts, rejected)


def _workspace(
    job: Job, graph: MergedGraph, records: int, counts: Counts, rejected: int
) -> Workspace:
    return Workspace(
        **{field.name: getattr(graph, field.name) for field in fields(graph)},
        identity=job.source.identity,
        recipe=job.recipe,
        read=records,
        left_out=counts.left_out,
        rejected=rejected,
        kept=counts.kept,
        by_relation=counts.by_relation,
    )


def _require_all_counted(job: Job, records: int, counts: Counts, rejected: int) -> None:
    """Raise Miscounted unless every line is kept, left out or rejected."""
    left_out = sum(counts.left_out.values())
    if counts.kept + left_out + rejected != records:
        raise Miscounted(
            f"{job.source.identity.name}: {records:,} lines were read, but {counts.kept:,} kept,"
            f" {left_out:,} left out and {rejected:,} rejected; nothing was changed."
            " This is a fault of the loader: please report it"
        )


def _nothing_kept(job: Job, counts: Counts, rejected: int) -> str:
    left_out = ", ".join(f"{lines:,} by {why}" for why, lines in counts.left_out.items())
    return (
        f"{job.source.identity.name}: no line was kept (left out: {left_out or 'none'};"
        f" {rejected:,} malformed); nothing was changed"
    )


def _tidy(folder: Path) -> None:
    """Remove what only one run needs."""
    shutil.rmtree(folder / "spill", ignore_errors=True)
    for name in _INTERMEDIATE:
        (folder / name).unlink(missing_ok=True)
