"""A base graph from triples in memory: for tests, measurements and evaluations.

Made by the steps that a load takes, from the merging on: the triples come as values, so no file is
read, and each concept keeps the key that it has.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kgload import queries
from kgload.base_file import write_base
from kgload.database import Database, quoted
from kgload.limits import Limits
from kgload.merging import MergedGraph, Merging
from kgload.report import Report
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.rules.base_graph import BaseCounts
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.private_files import private_folder


@dataclass(frozen=True, slots=True)
class BaseTriple:
    """A triple for the base, with its weight and where it comes from."""

    triple: Triple
    weight: float = 1.0
    dataset: str = ""
    license: str = ""


def build_base(folder: Path, triples: Iterable[BaseTriple], vocabulary: Vocabulary) -> BaseCounts:
    """Write a new base next to the present one and swap it in whole.

    A reader sees the old base or the new one. Triples given twice are merged, and the highest
    weight stays. Raises what the disk raises, and ValueError for a relation that no store takes;
    nothing has changed then.
    """
    rows = list(triples)
    private_folder(folder)
    scratch = folder / f"{BASE_FILE}.building-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    report = Report(quiet=True)
    try:
        with Database(Limits(threads=1), scratch / "spill") as db:
            _read(db, rows, scratch / "rows.csv")
            graph = _merged(db, vocabulary, scratch, report)
            write_base(graph, {}, folder, scratch, db, report)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    by_relation = {name: edges for _, name, edges in graph.relations}
    return BaseCounts(graph.concepts, graph.edges, graph.fingerprint, by_relation)


def _read(db: Database, triples: Iterable[BaseTriple], spool: Path) -> None:
    """Make the view `raw` of the triples."""
    with spool.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        for line, given in enumerate(triples):
            head, tail = given.triple.head, given.triple.tail
            ends = (head.key, head.text, tail.key, tail.text)
            origin = (given.dataset, given.license)
            writer.writerow((line, given.triple.relation, *ends, float(given.weight), *origin))
    db.execute(queries.READ_TRIPLES.format(file=quoted(spool)))
    db.execute(queries.VIEW_TRIPLES)


def _merged(db: Database, vocabulary: Vocabulary, folder: Path, report: Report) -> MergedGraph:
    merging = Merging(db, vocabulary, folder)
    with report.phase("merging") as phase:
        merging.find_concepts(phase, queries.TEXTS_OF_TRIPLES)
        if unusable := merging.unusable():
            raise ValueError(f"{unusable} triples have a relation or a concept that no store takes")
        merging.merge(phase)
        merging.rank(phase)
    return merging.graph()
