"""python -m kgload verify: whether a base is what its file says. Counts by relation, and a sample
of edges whole."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kgload import queries
from kgload.embedded import SCRATCH, PresentBase, present_base, scratch_folder
from kgload.errors import LoadError
from kgload.graph import GraphBase
from kgload.load import Plan, staged
from kgload.report import Report
from kgload.rows import Item
from kgload.source import Source, open_source
from kgload.staging import Limits, Recipe, Stage, connect, quoted
from server.graph.relation import Vocabulary
from server.stores.neo4j.rows import uri_of
from server.stores.sqlite.base import BASE_FILE, BaseReader

SAMPLED_EDGES = 1000


@dataclass(frozen=True, slots=True)
class Sampled:
    """An edge of the file, by its ends' keys."""

    head: str
    relation: str
    tail: str
    weight: float
    dataset: str
    license: str
    merged: int
    surface_text: str | None


@dataclass(frozen=True, slots=True)
class Check:
    """What was compared, and what differs, in words."""

    by_relation: tuple[tuple[str, int, int], ...]
    sampled: int
    differences: tuple[str, ...]


class StoredBase(Protocol):
    """A store's base, as far as it is compared."""

    @property
    def fingerprint(self) -> str: ...

    def present(self) -> PresentBase: ...

    def concepts(self) -> int: ...

    def counted_relations(self) -> dict[str, int]: ...

    def differing(self, sample: Sequence[Sampled]) -> list[str]:
        """What differs of a sample, in words."""
        ...


class EmbeddedBase:
    """The embedded store's base. Raises LoadError where there is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._present = present_base(folder)
        self.fingerprint = self._present.fingerprint
        if not self.fingerprint:
            raise LoadError(f"{folder} holds no base graph")

    def present(self) -> PresentBase:
        return self._present

    def concepts(self) -> int:
        with self._reader() as reader:
            return reader.counts().concepts

    def counted_relations(self) -> dict[str, int]:
        with self._reader() as reader:
            return reader.counted_relations()

    def differing(self, sample: Sequence[Sampled]) -> list[str]:
        with self._reader() as reader:
            found = [reader.find_whole(edge.head, edge.relation, edge.tail) for edge in sample]
        return [
            words
            for edge, stored in zip(sample, found, strict=True)
            if (words := _difference(edge, stored, (edge.weight, edge.dataset, edge.license)))
        ]

    @contextlib.contextmanager
    def _reader(self) -> Iterator[BaseReader]:
        reader = BaseReader(self._folder / BASE_FILE)
        try:
            yield reader
        finally:
            reader.close()


class Neo4jBase(GraphBase):
    """A Neo4j's base, compared with all that its edges hold."""

    def differing(self, sample: Sequence[Sampled]) -> list[str]:
        found = self.whole_edges(
            [(uri_of(edge.head), edge.relation, uri_of(edge.tail)) for edge in sample]
        )
        differences = []
        for edge, stored in zip(sample, found, strict=True):
            expected = (edge.weight, edge.dataset, edge.license, edge.merged, edge.surface_text)
            if len(stored) > 1:
                differences.append(
                    f"({edge.head}, {edge.relation}, {edge.tail}) is in the store {len(stored)} times"
                )
            elif words := _difference(edge, stored[0] if stored else None, expected):
                differences.append(words)
        return differences


def _difference(
    edge: Sampled, stored: tuple[object, ...] | None, expected: tuple[object, ...]
) -> str:
    if stored is None:
        return f"({edge.head}, {edge.relation}, {edge.tail}) is not in the store"
    same_weight = isinstance(stored[0], float) and math.isclose(
        stored[0], edge.weight, abs_tol=1e-6
    )
    if not same_weight or stored[1:] != expected[1:]:
        return f"({edge.head}, {edge.relation}, {edge.tail}) has another weight, dataset or licence in the store"
    return ""


def verify(
    base: StoredBase,
    folder: Path,
    file: str | None,
    vocabulary: Vocabulary,
    limits: Limits,
    report: Report,
    rows_of: Callable[[Recipe], Callable[[Source], Iterable[Item]] | None],
) -> Check:
    """Stage the base's file again, in `folder`, and compare. `file` is where it is now, if not
    where it was loaded from.

    Raises LoadError: a base that does not say where it came from, a file that cannot be read.
    """
    present = base.present()
    if present.recipe is None or present.identity is None:
        raise LoadError("the base does not say what it was made of; load it again")
    if present.recipe.declared:
        vocabulary = vocabulary.extended(present.recipe.declared)
    if present.recipe.vocabulary not in ("", vocabulary.fingerprint):
        raise LoadError(
            "the base was loaded with another relation vocabulary: give the same --vocabulary"
        )
    with scratch_folder(folder) as scratch:
        again = scratch / "verify"
        try:
            again.mkdir(exist_ok=True)
            source = open_source(file or present.identity.name, again, report)
            plan = Plan(str(source.path), present.recipe, vocabulary, folder, limits)
            stage = staged(plan, source, again / "stage", report, rows_of(present.recipe))
            with report.phase("comparing"):
                return _compared(stage, base, limits)
        finally:
            shutil.rmtree(again, ignore_errors=True)
            if [p.name for p in (folder / SCRATCH).iterdir()] == ["lock"]:
                shutil.rmtree(folder / SCRATCH, ignore_errors=True)


def _compared(stage: Stage, base: StoredBase, limits: Limits) -> Check:
    stored = base.counted_relations()
    expected = {name: edges for _, name, edges in stage.relations}
    counts = tuple(
        (name, expected.get(name, 0), stored.get(name, 0)) for name in sorted({*expected, *stored})
    )
    differences = [
        f"{name}: {a:,} edges in the file, {b:,} in the store" for name, a, b in counts if a != b
    ]
    concepts = base.concepts()
    if concepts != stage.concepts:
        differences.append(f"{stage.concepts:,} concepts in the file, {concepts:,} in the store")
    sample = _sample(stage, limits)
    differences += base.differing(sample)
    if not differences and base.fingerprint != stage.fingerprint:
        differences.append("the counts and the sample agree, but the fingerprints do not")
    return Check(counts, len(sample), tuple(differences))


def _sample(stage: Stage, limits: Limits) -> list[Sampled]:
    query = queries.SAMPLE.format(
        edges=quoted(stage.edges_file),
        concepts=quoted(stage.concepts_file),
        count=SAMPLED_EDGES,
        surface="e.surface" if stage.recipe.surface_text else "NULL",
    )
    parameters = {
        "relations": [{"id": i, "name": name} for i, name, _ in stage.relations],
        "sources": [{"id": i, "dataset": d, "license": li} for i, d, li in stage.sources],
    }
    database = connect(limits, stage.folder / "spill")
    try:
        return [Sampled(*row) for row in database.execute(query, parameters).fetchall()]
    finally:
        database.close()
