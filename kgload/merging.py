"""Lines merged into concepts and ranked edges: the only place where a base graph is made.

Reading leaves a view `raw` in DuckDB, one row for each line. Merging makes of it two Parquet files
in a folder, from which every target loads:

concepts.parquet   id, key, text, language, retrievable; in the order of keys
edges.parquet      head, relation, rank, tail, weight, source, merged, and the surface text if it
                   is kept; in the order of head, relation and rank

Ids are places in the order of keys, so the same graph has the same ids, however it was loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kgload import queries
from kgload.database import Database, quoted
from kgload.lines import NoTriple, checked_concept, checked_relation
from kgload.report import Phase
from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.stores.rules.base_graph import base_fingerprint


@dataclass(frozen=True, slots=True)
class RelationCounts:
    """What became of the lines of one relation of the file."""

    read: int = 0
    kept: int = 0
    edges: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of all lines."""

    by_relation: Mapping[str, RelationCounts]
    """By the graph's names."""
    left_out: Mapping[str, int]
    """By the option that left them out."""

    @property
    def kept(self) -> int:
        return sum(counts.kept for counts in self.by_relation.values())


@dataclass(frozen=True, slots=True)
class MergedGraph:
    """A graph as two Parquet files in `folder`, with its counts and its fingerprint."""

    folder: Path
    concepts: int
    edges: int
    relations: Sequence[tuple[int, str, int]]
    """(id, negative where symmetric; name; edges)"""
    sources: Sequence[tuple[int, str, str]]
    """(id, dataset, license)"""
    fingerprint: str

    @property
    def name(self) -> str:
        """A name for exactly this content."""
        sources = hashlib.sha256(json.dumps(self.sources).encode()).hexdigest()
        return f"{self.fingerprint}-{sources[:8]}"

    @property
    def concepts_file(self) -> Path:
        return self.folder / "concepts.parquet"

    @property
    def edges_file(self) -> Path:
        return self.folder / "edges.parquet"


class Merging:
    """The steps from the view `raw` to a merged graph, in the order of the methods below."""

    def __init__(self, db: Database, vocabulary: Vocabulary, folder: Path) -> None:
        self._db, self._vocabulary, self._folder = db, vocabulary, folder
        self._names: dict[str, str] = {}
        """The file's names of relations -> the graph's."""
        self._sources: list[tuple[int, str, str]] = []

    def find_concepts(self, phase: Phase, texts: str) -> None:
        """Number the concepts and relations. `texts` makes the table of texts with their keys."""
        self._db.do(texts, phase)
        self._names = self._number_relations()
        self._db.do(queries.UNUSABLE, phase)
        self._db.do(queries.CONCEPTS, phase)
        self._db.do(queries.IDS, phase)
        self._db.do(queries.DROP_TEXTS, phase)

    def unusable(self) -> int:
        """How many kept lines have a text or relation that no store takes. Merging skips them."""
        if not self._db.number(queries.COUNT_BAD):
            return 0
        return self._db.number(queries.COUNT_UNUSABLE)

    def merge(self, phase: Phase, *, surfaces: bool = False) -> int:
        """Merge the lines that say the same thing into one edge. Returns how many edges there are.

        With `surfaces`, the heaviest line is remembered for its surface text.
        """
        self._sources = self._number_sources()
        heaviest = queries.HEAVIEST if surfaces else ""
        self._db.do(queries.MERGED.format(heaviest=heaviest), phase)
        return self._db.number(queries.COUNT_MERGED)

    def counts(self) -> Counts:
        """What became of the lines."""
        by_relation: dict[str, RelationCounts] = {}
        left_out: dict[str, int] = {}
        all_usable = not self._db.number(queries.COUNT_BAD)
        counted = queries.COUNTS_ALL_USABLE if all_usable else queries.COUNTS
        for relation, why, lines, usable in self._db.rows(counted):
            if why in queries.LEFT_OUT:
                option = queries.LEFT_OUT[why]
                left_out[option] = left_out.get(option, 0) + lines
            if relation is None or why == queries.MALFORMED:
                continue
            name = self._names.get(relation, self._vocabulary.canonical_name(relation))
            before = by_relation.get(name, RelationCounts())
            kept = usable if why == queries.KEPT else 0
            by_relation[name] = RelationCounts(before.read + lines, before.kept + kept)
        for name, edges in self._db.rows(queries.EDGES_BY_RELATION):
            before = by_relation[name]
            by_relation[name] = RelationCounts(before.read, before.kept, edges)
        return Counts(dict(sorted(by_relation.items())), left_out)

    def rank(self, phase: Phase, *, surfaces: bool = False) -> None:
        """Rank and sort the edges, and write both files."""
        ranked = queries.RANKED_WITH_SURFACES if surfaces else queries.RANKED
        self._db.do(ranked.format(file=self._file("edges")), phase)
        self._db.do(queries.RETRIEVABLE, phase)
        self._db.do(queries.SORTED_CONCEPTS.format(file=self._file("concepts")), phase)

    def graph(self) -> MergedGraph:
        """The merged graph, with its fingerprint."""
        concepts = self._db.number(queries.CONCEPTS_DIGEST.format(file=self._file("concepts")))
        edges = self._db.number(queries.EDGES_DIGEST.format(file=self._file("edges")))
        return MergedGraph(
            folder=self._folder,
            concepts=self._db.number(queries.COUNT_CONCEPTS),
            edges=self._db.number(queries.COUNT_MERGED),
            relations=self._db.rows(queries.RELATIONS_OUT),
            sources=self._sources,
            fingerprint=base_fingerprint(concepts, edges),
        )

    def _file(self, name: str) -> str:
        return quoted(self._folder / f"{name}.parquet")

    def _number_relations(self) -> dict[str, str]:
        """The file's names -> the graph's. Ids follow the order of the graph's names; those of
        symmetric relations are negative."""
        names: dict[str, str] = {}
        for (name,) in self._db.rows(queries.DISTINCT_RELATIONS):
            try:
                names[name] = self._vocabulary.canonical_name(checked_relation(name))
            except NoTriple:
                continue
        ordered = sorted(set(names.values()), key=lambda name: name.encode())
        numbers = {name: number for number, name in enumerate(ordered, start=1)}
        self._db.execute(queries.RELATIONS)
        for name, graph_name in names.items():
            number = numbers[graph_name]
            signed = -number if self._vocabulary.is_symmetric(graph_name) else number
            retrievable = self._vocabulary.is_retrievable(graph_name)
            self._db.execute(queries.ADD_RELATION, [name, graph_name, signed, retrievable])
        return names

    def _number_sources(self) -> list[tuple[int, str, str]]:
        """(id, dataset, license) of all lines; the file has them as JSON."""
        rows = self._db.rows(queries.DISTINCT_SOURCES)
        pairs = {row: (_json_text(row[0]), _json_text(row[1])) for row in rows}
        ids = {pair: number for number, pair in enumerate(sorted(set(pairs.values())), start=1)}
        self._db.execute(queries.SOURCES)
        for row, pair in pairs.items():
            self._db.execute(queries.ADD_SOURCE, [*row, ids[pair]])
        return [(number, *pair) for pair, number in ids.items()]


def key_or_nothing(text: str) -> str:
    """The key of a concept; empty where no store takes the text.

    DuckDB calls it for the texts that are not tidy (kgload.queries.TIDY).
    """
    try:
        return checked_concept(text).key
    except NoTriple:
        return ""


def text_of(text: str) -> str:
    """The text that is kept for a concept."""
    return Concept.of(text.strip()).text


def define_keys(db: Database) -> None:
    """Let the statements that find concepts call Python for texts that are not tidy."""
    db.define("key_in_python", key_or_nothing)
    db.define("text_in_python", text_of)


def _json_text(value: str | None) -> str:
    if value is None:
        return ""
    decoded = json.loads(value)
    return decoded if isinstance(decoded, str) else value
