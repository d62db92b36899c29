"""The embedded store's base file: built next to the present one, and moved into place whole."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kgload import queries
from kgload.database import Database, quoted
from kgload.interrupts import run_in_thread
from kgload.merging import MergedGraph
from kgload.report import Phase, Report
from server.files import sync_file
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.bulk import BaseWriter, Part

BATCH = 250_000
"""Rows that are made into pages at a time."""
_THREADS = 2


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

    Raises what DuckDB, SQLite and the disk raise; the base in place is untouched then.
    """
    building = scratch / BASE_FILE
    writer = BaseWriter(building, graph.relations, graph.sources)
    try:
        with report.phase("sorting for the indexes") as phase:
            parts = _parts(graph, scratch, db, phase)
        with report.phase("writing the base", sum(part.rows for part in parts)) as phase:
            _Pouring(writer, db, batch, phase).run(parts)
        with report.phase("completing the base"):
            writer.finish({"fingerprint": graph.fingerprint, **meta})
    finally:
        writer.close()
    building.replace(folder / BASE_FILE)
    sync_file(folder)


@dataclass(frozen=True, slots=True)
class _Part:
    """A table or an index, whose rows are in a Parquet file in its order."""

    name: Part
    rows: int
    query: str
    """For the rows from one place in the file to another."""


def _parts(graph: MergedGraph, scratch: Path, db: Database, phase: Phase) -> list[_Part]:
    """Sort the edges for their indexes into files in `scratch`. Returns all parts of a base."""
    concepts = queries.PART.format(file=quoted(graph.concepts_file))
    edges = queries.PART.format(file=quoted(graph.edges_file))
    parts = [_Part("edges", graph.edges, edges), _Part("concepts", graph.concepts, concepts)]
    indexes: Mapping[Part, str] = {
        "edges_mirrored": queries.MIRRORED_EDGES,
        "edges_of_hubs": queries.HUB_EDGES,
    }
    for name, query in indexes.items():
        file = quoted(scratch / f"{name}.parquet")
        db.do(query.format(file=quoted(graph.edges_file), target=file), phase)
        rows = db.number(queries.COUNT_ROWS.format(file=file))
        parts.append(_Part(name, rows, queries.PART.format(file=file)))
    return parts


class _Pouring:
    """Moves rows from files into a base, two parts at a time in threads of their own."""

    def __init__(self, writer: BaseWriter, db: Database, batch: int, phase: Phase) -> None:
        self._writer, self._db, self._batch, self._phase = writer, db, batch, phase
        self._stopped = threading.Event()
        self._poured = Counter[str]()

    def run(self, parts: Sequence[_Part]) -> None:
        """Move all rows; Ctrl-C stops it between two batches."""
        total = max(1, sum(part.rows for part in parts))

        def pour_all() -> None:
            with ThreadPoolExecutor(_THREADS) as executor:
                try:
                    list(executor.map(self._pour, parts))
                finally:
                    self._stopped.set()  # one part failed: the others need not go on

        def show() -> None:
            self._phase.at(self._poured.total() / total)

        run_in_thread(pour_all, lambda _: self._stopped.set(), show)

    def _pour(self, part: _Part) -> None:
        for start in range(0, part.rows, self._batch):
            if self._stopped.is_set():
                return
            rows = self._db.columns(part.query, [start, start + self._batch - 1])
            self._writer.add(part.name, rows)
            self._poured[part.name] = min(part.rows, start + self._batch)
