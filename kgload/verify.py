"""python -m kgload verify: whether a base is what its file says. Counts by relation, and a sample of edges whole."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kgload import queries
from kgload.embedded import SCRATCH, present_base, scratch_folder
from kgload.errors import LoadError
from kgload.lines import BadLine, Row
from kgload.load import Plan, staged
from kgload.report import Report
from kgload.source import Source, open_source
from kgload.staging import Limits, Recipe, Stage, connect, quoted
from server.graph.relation import Vocabulary
from server.stores.sqlite_base import BASE_FILE, BaseReader

SAMPLED_EDGES = 1000


@dataclass(frozen=True, slots=True)
class Check:
    """What was compared, and what differs, in words."""

    by_relation: tuple[tuple[str, int, int], ...]
    sampled: int
    differences: tuple[str, ...]


def verify(
    folder: Path,
    file: str | None,
    vocabulary: Vocabulary,
    limits: Limits,
    report: Report,
    rows_of: Callable[[Recipe], Callable[[Source], Iterable[Row | BadLine]] | None],
) -> Check:
    """Stage the base's file again and compare. `file` is where it is now, if not where it was loaded from.

    Raises LoadError: no base, one that does not say where it came from, a file that cannot be read.
    """
    present = present_base(folder)
    if not present.fingerprint:
        raise LoadError(f"{folder} holds no base graph")
    if present.recipe is None or present.identity is None:
        raise LoadError(f"the base in {folder} does not say what it was made of; load it again")
    if present.recipe.declared:
        vocabulary = vocabulary.extended(present.recipe.declared)
    if present.recipe.vocabulary not in ("", vocabulary.fingerprint):
        raise LoadError("the base was loaded with another relation vocabulary: give the same --vocabulary")
    with scratch_folder(folder) as scratch:
        again = scratch / "verify"
        try:
            again.mkdir(exist_ok=True)
            source = open_source(file or present.identity.name, again, report)
            plan = Plan(str(source.path), present.recipe, vocabulary, folder, limits)
            stage = staged(plan, source, again / "stage", report, rows_of(present.recipe))
            with report.phase("comparing"):
                return _compared(stage, folder, limits)
        finally:
            shutil.rmtree(again, ignore_errors=True)
            if [p.name for p in (folder / SCRATCH).iterdir()] == ["lock"]:
                shutil.rmtree(folder / SCRATCH, ignore_errors=True)


def _compared(stage: Stage, folder: Path, limits: Limits) -> Check:
    reader = BaseReader(folder / BASE_FILE)
    try:
        stored = reader.counted_relations()
        expected = {name: edges for _, name, edges in stage.relations}
        counts = tuple((name, expected.get(name, 0), stored.get(name, 0)) for name in sorted({*expected, *stored}))
        differences = [f"{name}: {a:,} edges in the file, {b:,} in the store" for name, a, b in counts if a != b]
        concepts = reader.counts().concepts
        if concepts != stage.concepts:
            differences.append(f"{stage.concepts:,} concepts in the file, {concepts:,} in the store")
        sample = _sample(stage, limits)
        for head, relation, tail, weight, dataset, license in sample:
            found = reader.find_whole(head, relation, tail)
            if found is None:
                differences.append(f"({head}, {relation}, {tail}) is not in the store")
            elif not math.isclose(found[0], weight, abs_tol=1e-6) or found[1:] != (dataset, license):
                differences.append(f"({head}, {relation}, {tail}) has another weight, dataset or licence in the store")
        if not differences and reader.fingerprint != stage.fingerprint:
            differences.append("the counts and the sample agree, but the fingerprints do not")
    finally:
        reader.close()
    return Check(counts, len(sample), tuple(differences))


def _sample(stage: Stage, limits: Limits) -> list[tuple[str, str, str, float, str, str]]:
    query = queries.SAMPLE.format(
        edges=quoted(stage.edges_file), concepts=quoted(stage.concepts_file), count=SAMPLED_EDGES
    )
    parameters = {
        "relations": [{"id": i, "name": name} for i, name, _ in stage.relations],
        "sources": [{"id": i, "dataset": d, "license": li} for i, d, li in stage.sources],
    }
    database = connect(limits, stage.folder / "spill")
    try:
        return database.execute(query, parameters).fetchall()
    finally:
        database.close()
