"""The embedded store's base file: built next to the present one, and moved into place whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from kgload import queries
from kgload.database import Database, quoted
from kgload.merging import MergedGraph
from kgload.report import Report
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.bulk import BaseBuilder, Step
from server.stores.sqlite.private_files import sync_file

BATCH = 100_000


def write_base(
    graph: MergedGraph,
    meta: Mapping[str, str],
    folder: Path,
    scratch: Path,
    db: Database,
    report: Report,
    batch: int = BATCH,
) -> None:
    """Build the base file of a graph in `scratch`, then move it to `folder`.

    It goes on where an interrupted run left a file of the same graph. Raises what DuckDB, SQLite
    and the disk raise; the base in place is untouched then.
    """
    building = scratch / BASE_FILE
    builder = BaseBuilder(building, f"{graph.name} {_boot()}")
    try:
        _fill(builder, graph, db, report, batch)
        with report.phase("building the indexes"):
            builder.finish({"fingerprint": graph.fingerprint, "stage": graph.name, **meta})
    finally:
        builder.close()
    building.replace(folder / BASE_FILE)
    sync_file(folder)


def _fill(
    builder: BaseBuilder, graph: MergedGraph, db: Database, report: Report, batch: int
) -> None:
    if builder.position("relations") == 0:
        builder.add("relations", graph.relations, len(graph.relations))
    if builder.position("sources") == 0:
        builder.add("sources", graph.sources, len(graph.sources))
    edges = queries.EDGES_FROM.format(file=quoted(graph.edges_file))
    _pour(builder, "edges", db, edges, graph.edges, report, batch)
    concepts = queries.CONCEPTS_FROM.format(file=quoted(graph.concepts_file))
    _pour(builder, "concepts", db, concepts, graph.concepts, report, batch)


def _pour(
    builder: BaseBuilder,
    step: Step,
    db: Database,
    query: str,
    total: int,
    report: Report,
    batch: int,
) -> None:
    """Move the rows of a query into the base in batches, from the committed position on."""
    position = builder.position(step)
    with report.phase(f"loading the {step}", total) as progress:
        for rows in db.batches(query, [position], batch):
            position += len(rows)
            builder.add(step, rows, position)
            progress.at(position / total)


def _boot() -> str:
    """Names this run of the machine: after a power cut no half-built file is trusted."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return str(os.environ.get("HOSTNAME", ""))
