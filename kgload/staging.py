"""From a file to its staging folder: DuckDB reads, filters, merges and sorts; every route loads
from what it leaves.

concepts.parquet   id, key, text, language, retrievable: by key edges.parquet      head, relation,
rank, tail, weight, source, merged; for a Neo4j also surface: by head, relation, rank stage.json
written last: what was staged, counted by relation, and the graph's fingerprint

Ids are places in the order of keys, so that they are the same for the same graph, whoever loads it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import duckdb

from kgload import queries
from kgload.errors import DiskFull, LoadError, Miscounted, TooManyErrors
from kgload.interrupts import run_beside
from kgload.lines import (
    CONCEPTNET_COLUMNS,
    MAX_WEIGHT,
    BadLine,
    Header,
    NoTriple,
    bad_line,
    checked_concept,
    checked_relation,
    conceptnet_fault,
    has_columns,
)
from kgload.plaintext import decoded
from kgload.report import Phase, Report
from kgload.rows import Item
from kgload.source import Identity, Source, damaged, truncated
from server.graph.codec import MAX_RELATION_BYTES
from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.stores.rules.base_graph import base_fingerprint

T = TypeVar("T")

VERSION = 3
DUCKDB_SHARE = 0.6
"""DuckDB keeps its buffers to its limit; the process around it needs the rest."""
SHOWN_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is taken from a file, and how."""

    form: Literal["conceptnet", "triples"] = "conceptnet"
    languages: tuple[str, ...] = ("en",)
    """Both ends must be in one of these; empty: any."""
    min_weight: float | None = None
    relations: tuple[str, ...] = ()
    """Only these; empty: all."""
    merge_senses: bool = True
    external_urls: bool = False
    """Whether a dump's edges to addresses elsewhere are taken."""
    columns: tuple[str, ...] = ()
    columns_given: bool = False
    """Whether the columns are as somebody asked for, so that a header does not change them."""
    layout: str = ""
    vocabulary: str = ""
    declared: str = ""
    """TOML of relations that the file brings along."""
    attribution: str = ""
    surface_text: bool = False
    """Whether what a line says in words is kept: for a Neo4j, where people look. The embedded store
    has no place for it."""


@dataclass(frozen=True, slots=True)
class RelationCounts:
    """What became of the lines of one relation of the file."""

    read: int = 0
    kept: int = 0
    edges: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """A staged graph: the two Parquet files of `folder`, and all that is known of them."""

    folder: Path
    identity: Identity
    recipe: Recipe
    read: int
    left_out: Mapping[str, int]
    rejected: int
    kept: int
    concepts: int
    edges: int
    by_relation: Mapping[str, RelationCounts]
    """By the graph's names."""
    relations: Sequence[tuple[int, str, int]]
    """(id, negative where symmetric; name; edges)"""
    sources: Sequence[tuple[int, str, str]]
    fingerprint: str

    @property
    def merged(self) -> int:
        """Lines that told what another had told."""
        return self.kept - self.edges

    @property
    def name(self) -> str:
        """A name of this exact content."""
        return f"{self.fingerprint}-{hashlib.sha256(json.dumps(self.sources).encode()).hexdigest()[:8]}"

    @property
    def concepts_file(self) -> Path:
        return self.folder / "concepts.parquet"

    @property
    def edges_file(self) -> Path:
        return self.folder / "edges.parquet"


@dataclass(frozen=True, slots=True)
class Limits:
    """What staging may use, and when it gives up."""

    memory_bytes: int = 2 << 30
    max_errors: int = 1000
    rejects: Path | None = None
    threads: int = field(default_factory=lambda: min(4, os.cpu_count() or 1))


def parse_memory(text: str) -> int:
    """ "2GB", "512MB" as bytes. Raises LoadError."""
    units = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}
    cleaned = text.strip().casefold().replace("ib", "b")
    try:
        value = float(cleaned[:-2]) * units[cleaned[-2:]]
    except (KeyError, ValueError) as error:
        raise LoadError(f"--memory {text}: say it like 2GB or 512MB") from error
    if not 256 << 20 <= value < math.inf:
        raise LoadError(f"--memory {text}: at least 256MB is needed")
    return int(value)


def quoted(path: Path) -> str:
    """A path as an SQL literal, for the statements that take no parameter there."""
    return "'" + str(path).replace("'", "''") + "'"


# Taking up again


def write_stage(stage: Stage) -> None:
    """Note that the stage is whole."""
    document = {"version": VERSION, **asdict(stage)}
    del document["folder"]
    draft = stage.folder / "stage.json.new"
    draft.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    draft.replace(stage.folder / "stage.json")


def read_stage(folder: Path) -> Stage | None:
    """The stage in a folder; None where none is whole."""
    try:
        document = json.loads((folder / "stage.json").read_text(encoding="utf-8"))
        if document.pop("version") != VERSION:
            return None
        return Stage(
            **{
                **document,
                "folder": folder,
                "identity": Identity(**document["identity"]),
                "recipe": recipe_from(document["recipe"]),
                "by_relation": {
                    name: RelationCounts(**c) for name, c in document["by_relation"].items()
                },
                "relations": [(int(i), str(n), int(e)) for i, n, e in document["relations"]],
                "sources": [(int(i), str(d), str(li)) for i, d, li in document["sources"]],
            }
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def recipe_from(document: Mapping[str, Any]) -> Recipe:
    """The recipe that `asdict` took apart. Raises TypeError."""
    values: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in document.items()
    }
    return Recipe(**values)


# Staging


def stage_file(
    source: Source,
    recipe: Recipe,
    vocabulary: Vocabulary,
    folder: Path,
    limits: Limits,
    report: Report,
    rows: Iterable[Item] = (),
) -> Stage:
    """Stage `source` in `folder`, or take what an interrupted run has staged of it there.

    `rows` are a triples file's lines. Raises LoadError and its kinds; nothing of `folder` counts
    then.
    """
    present = read_stage(folder)
    if present and present.recipe == recipe and present.identity.same_file(source.identity):
        report.note(f"going on with {present.edges:,} edges that were staged before")
        return present
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    staging = _Staging(source, recipe, vocabulary, folder, limits, report)
    try:
        stage = staging.run(rows)
    except (duckdb.Error, OSError) as error:
        raise translated(error, source.identity.name, folder) from error
    finally:
        staging.close()
    write_stage(stage)
    return stage


def translated(error: Exception, name: str, folder: Path) -> LoadError:
    """DuckDB's and the disk's errors as this loader's."""
    text = str(error)
    if "No space left" in text or "max_temp_directory_size" in text or "disk is full" in text:
        free = shutil.disk_usage(folder.parent if not folder.exists() else folder).free
        return DiskFull(
            f"the disk under {folder} is full ({free >> 20:,} MiB free): free some room, then run it again"
        )
    if "Unexpected end of GZIP" in text:
        return truncated(name)
    if "gzip" in text.casefold() or "miniz" in text.casefold():
        return damaged(name)
    if isinstance(error, duckdb.OutOfMemoryException):
        return LoadError("the memory limit is too small for this file: give --memory more")
    if isinstance(error, OSError):
        return LoadError(f"{name}: {error.strerror or error}")
    return LoadError(f"{name} cannot be read: {text.splitlines()[0]}")


class _Staging:
    """One run of the pipeline over one DuckDB connection."""

    def __init__(
        self,
        source: Source,
        recipe: Recipe,
        vocabulary: Vocabulary,
        folder: Path,
        limits: Limits,
        report: Report,
    ) -> None:
        self._source, self._recipe, self._vocabulary = source, recipe, vocabulary
        self._folder, self._limits, self._report = folder, limits, report
        self._db = connect(limits, folder / "spill")
        self._db.create_function("key_in_python", _key, ["VARCHAR"], "VARCHAR")
        self._db.create_function("text_in_python", _text, ["VARCHAR"], "VARCHAR")
        self._bad: list[BadLine] = []
        """Lines that Python rejected before DuckDB saw them."""
        self._records = 0
        """What there is to keep or to reject: the lines with text but for the header, a quoted row
        counting once."""

    def close(self) -> None:
        with contextlib.suppress(duckdb.Error):
            self._db.remove_function("key_in_python")
            self._db.remove_function("text_in_python")
        self._db.close()
        shutil.rmtree(self._folder / "spill", ignore_errors=True)
        (self._folder / "raw.parquet").unlink(missing_ok=True)
        (self._folder / "rows.tsv").unlink(missing_ok=True)
        (self._folder / "lines.tsv").unlink(missing_ok=True)

    def run(self, rows: Iterable[Item]) -> Stage:
        rejected = (
            self._read_conceptnet() if self._recipe.form == "conceptnet" else self._read_rows(rows)
        )
        with self._report.phase("finding the concepts") as phase:
            self._do(queries.TEXTS, phase)
            names = self._relations()
            self._do(queries.UNUSABLE, phase)
            if (
                self._recipe.form == "conceptnet"
            ):  # of one's own triples each text is checked before it gets here
                rejected += self._unusable()
            self._do(queries.CONCEPTS, phase)
            self._do(queries.IDS, phase)
            self._do(queries.DROP_TEXTS, phase)
        if self._recipe.form == "conceptnet" and rejected:
            self._write_rejects(queries.MALFORMED_OR_UNUSABLE_LINES)
        if rejected > self._limits.max_errors:
            self._too_many(rejected)
        with self._report.phase("merging and sorting the edges") as phase:
            sources = self._sources()
            surfaces = self._recipe.surface_text
            self._do(queries.MERGED.format(heaviest=queries.HEAVIEST if surfaces else ""), phase)
            counts = self._counts(names)
            self._require_all_counted(counts, rejected)
            edges = self._number(queries.COUNT_MERGED)
            if edges == 0:
                raise LoadError(self._nothing(counts, rejected))
            ranked = queries.RANKED_WITH_SURFACES if surfaces else queries.RANKED
            self._do(ranked.format(file=quoted(self._folder / "edges.parquet")), phase)
            self._do(queries.RETRIEVABLE, phase)
            self._do(
                queries.SORTED_CONCEPTS.format(file=quoted(self._folder / "concepts.parquet")),
                phase,
            )
        with self._report.phase("taking the graph's fingerprint"):
            fingerprint = self._fingerprint()
        return self._stage(counts, rejected, edges, sources, fingerprint)

    def _stage(
        self,
        counts: tuple[dict[str, RelationCounts], dict[str, int]],
        rejected: int,
        edges: int,
        sources: list[tuple[int, str, str]],
        fingerprint: str,
    ) -> Stage:
        by_relation, left_out = counts
        relations = self._db.execute(queries.RELATIONS_OUT).fetchall()
        kept = sum(c.kept for c in by_relation.values())
        return Stage(
            folder=self._folder,
            identity=self._source.identity,
            recipe=self._recipe,
            read=self._records,
            left_out=left_out,
            rejected=rejected,
            kept=kept,
            concepts=self._number(queries.COUNT_CONCEPTS),
            edges=edges,
            by_relation=by_relation,
            relations=relations,
            sources=sources,
            fingerprint=fingerprint,
        )

    # Reading

    def _read_conceptnet(self) -> int:
        """Read the dump as it is; where DuckDB does not find exactly the lines that there are, a
        copy of them.

        Returns how many are malformed.
        """
        with self._report.phase("counting the lines"):
            survey = self._source.survey()
        self._records = survey.texts
        if survey.plain:
            self._read_dump(self._source.path, compressed=self._source.compressed)
        if (
            not survey.plain
            or self._number(queries.COUNT_UNREADABLE)
            or self._lines() != survey.texts
        ):
            self._copy_lines()
            self._read_dump(self._folder / "lines.tsv", compressed=False)
        if self._lines() + len(self._bad) != survey.texts:
            raise Miscounted(
                f"{self._source.identity.name}: of {survey.texts:,} lines with text {self._lines():,} were read and"
                f" {len(self._bad):,} rejected; nothing was changed. This is a fault of the loader: please report it"
            )
        malformed = len(self._bad) + self._number(queries.COUNT_MALFORMED)
        if malformed > self._limits.max_errors:
            self._write_rejects(queries.MALFORMED_LINES)
            self._too_many(malformed)
        return malformed

    def _read_dump(self, path: Path, *, compressed: bool) -> None:
        languages, relations = list(self._recipe.languages), list(self._recipe.relations)
        with self._report.phase("reading and filtering") as phase:
            self._do(
                queries.READ_CONCEPTNET.format(
                    **self._dump(),
                    file=quoted(path),
                    compression="gzip" if compressed else "none",
                    target=quoted(self._folder / "raw.parquet"),
                    max_weight=MAX_WEIGHT,
                    relation_bytes=MAX_RELATION_BYTES,
                    surface=queries.SURFACE if self._recipe.surface_text else queries.NO_SURFACE,
                    surface_path=queries.SURFACE_PATH if self._recipe.surface_text else "",
                ),
                phase,
                {
                    "languages": languages,
                    "any_language": not languages,
                    "relations": relations,
                    "any_relation": not relations,
                    "min_weight": -MAX_WEIGHT
                    if self._recipe.min_weight is None
                    else self._recipe.min_weight,
                },
            )
        self._view_raw()

    def _copy_lines(self) -> None:
        """Write the lines that DuckDB can read, each ended by LF, and reject the others."""
        with (
            self._report.phase("copying the lines that can be read"),
            (self._folder / "lines.tsv").open("wb") as file,
        ):
            for number, raw in self._source.raw_lines():
                line = decoded(number, raw)
                columns = raw.count(b"\t") + 1
                fault = line.fault or (
                    has_columns(columns, CONCEPTNET_COLUMNS)
                    if columns != CONCEPTNET_COLUMNS
                    else ""
                )
                if not fault:
                    file.write(raw + b"\n")
                    continue
                self._bad.append(bad_line(number, fault, line.text))
                if len(self._bad) > self._limits.max_errors:
                    self._reject(self._bad)
                    self._too_many(len(self._bad))

    def _dump(self) -> dict[str, str]:
        """What the ends of a dump's line are, in a statement."""
        template = queries.TEXT if self._recipe.merge_senses else queries.SENSED_TEXT
        links = queries.WITH_LINKS if self._recipe.external_urls else queries.WITHOUT_LINKS
        return {
            **links,
            "text": template.format("h"),
            "tail": links["tail"].format(template.format("t")),
        }

    def _read_rows(self, rows: Iterable[Item]) -> int:
        """Write one's own triples for DuckDB to read. Returns how many lines are malformed."""
        survey = self._source.survey()
        covered = kept = 0
        spool = self._folder / "rows.tsv"
        with self._report.phase("reading"), spool.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                covered += row.lines
                self._records += not isinstance(row, Header)
                if isinstance(row, BadLine):
                    self._bad.append(row)
                    if len(self._bad) > self._limits.max_errors:
                        break
                elif not isinstance(row, Header):
                    file.write(f"{row.weight!r}\t{row.relation}\t{row.head}\t{row.tail}\n")
                    kept += 1
        self._reject(self._bad)
        if len(self._bad) > self._limits.max_errors:
            self._too_many(len(self._bad))
        if not kept:
            raise LoadError(
                f"{self._source.identity.name}: no line was a triple ({len(self._bad):,} malformed lines); nothing was changed"
            )
        with self._report.phase("staging") as phase:
            query = queries.READ_ROWS.format(
                target=quoted(self._folder / "raw.parquet"), file=quoted(spool)
            )
            self._do(query, phase)
        self._view_raw()
        if covered != survey.texts or self._lines() != kept:
            raise Miscounted(
                f"{self._source.identity.name}: of {survey.texts:,} lines with text {covered:,} were read, and of {kept:,}"
                f" triples {self._lines():,} were staged; nothing was changed. This is a fault of the loader: please report it"
            )
        return len(self._bad)

    def _view_raw(self) -> None:
        self._db.execute(queries.VIEW_RAW.format(file=quoted(self._folder / "raw.parquet")))

    def _lines(self) -> int:
        return self._number(queries.COUNT_LINES)

    # Malformed lines

    def _unusable(self) -> int:
        """How many kept lines have a text or relation that no store takes. They join nothing below."""
        return self._number(queries.COUNT_UNUSABLE) if self._number(queries.COUNT_BAD) else 0

    def _write_rejects(self, query: str) -> None:
        """Find the dump's malformed lines by their place among those that DuckDB read; write number
        and reason of each."""
        with self._report.phase("finding the malformed lines"):
            most = self._limits.max_errors + 1
            places = {place for (place,) in self._db.execute(query, [most]).fetchall()}
            unseen = {line.number for line in self._bad}
            bad, place = list(self._bad), -1
            with contextlib.closing(self._source.raw_lines()) as lines:
                for number, raw in lines if places else ():
                    if number in unseen:
                        continue
                    place += 1
                    if place in places:
                        places.remove(place)
                        bad.append(self._malformed(number, raw))
                        if not places:
                            break
        self._reject(sorted(bad, key=lambda line: line.number))

    def _malformed(self, number: int, raw: bytes) -> BadLine:
        """A line that DuckDB could not use, and why."""
        text = decoded(number, raw).text
        fault = conceptnet_fault(text, external_urls=self._recipe.external_urls)
        return bad_line(number, fault or "the metadata is not JSON that can be read", text)

    def _reject(self, bad: list[BadLine]) -> None:
        if not bad:
            return
        for line in bad[:SHOWN_ERRORS]:
            self._report.note(f"line {line.number}: {line.reason}")
        if self._limits.rejects is not None:
            self._write_bad(bad, self._limits.rejects)
        if len(bad) > SHOWN_ERRORS or self._limits.rejects is not None:
            rest = f"... and {len(bad) - SHOWN_ERRORS} more; " if len(bad) > SHOWN_ERRORS else ""
            self._report.note(f"{rest}all malformed lines are in {self._limits.rejects}")

    def _write_bad(self, bad: list[BadLine], path: Path) -> None:
        """Number, reason and text of each, the text as its owner wrote it."""
        try:
            if path.exists() and path.samefile(self._source.path):
                raise LoadError(
                    f"--rejects {path} is the file that is loaded: name another; nothing was changed"
                )
            with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.writelines(f"{line.number}\t{line.reason}\t{line.text}\n" for line in bad)
        except OSError as error:
            raise LoadError(f"--rejects {path}: {error.strerror}; nothing was changed") from error

    def _too_many(self, malformed: int) -> None:
        where = f"; the first are in {self._limits.rejects}" if self._limits.rejects else ""
        raise TooManyErrors(
            f"{malformed:,} malformed lines are more than --max-errors {self._limits.max_errors:,}{where}; nothing was changed"
        )

    def _require_all_counted(
        self, counts: tuple[dict[str, RelationCounts], dict[str, int]], rejected: int
    ) -> None:
        """Raise Miscounted unless every line is kept, left out or rejected."""
        by_relation, left_out = counts
        kept = sum(c.kept for c in by_relation.values())
        if kept + sum(left_out.values()) + rejected != self._records:
            raise Miscounted(
                f"{self._source.identity.name}: {self._records:,} lines were read, but {kept:,} kept,"
                f" {sum(left_out.values()):,} left out and {rejected:,} rejected; nothing was changed."
                " This is a fault of the loader: please report it"
            )

    def _nothing(
        self, counts: tuple[dict[str, RelationCounts], dict[str, int]], rejected: int
    ) -> str:
        left = ", ".join(f"{n:,} by {why}" for why, n in counts[1].items())
        return (
            f"{self._source.identity.name}: no line was kept (left out: {left or 'none'}; {rejected:,} malformed);"
            " nothing was changed"
        )

    # Relations, sources, counts

    def _relations(self) -> dict[str, str]:
        """The file's names -> the graph's; ids in the order of the graph's names, negative where
        symmetric."""
        names: dict[str, str] = {}
        for (name,) in self._db.execute(queries.DISTINCT_RELATIONS).fetchall():
            try:
                names[name] = self._vocabulary.canonical_name(checked_relation(name))
            except NoTriple:
                continue
        self._db.execute(queries.RELATIONS)
        known = sorted(set(names.values()), key=lambda n: n.encode())
        for number, graph_name in enumerate(known, start=1):
            symmetric, retrievable = (
                self._vocabulary.is_symmetric(graph_name),
                self._vocabulary.is_retrievable(graph_name),
            )
            for name in (n for n, g in names.items() if g == graph_name):
                row = [name, graph_name, -number if symmetric else number, retrievable]
                self._db.execute(queries.ADD_RELATION, row)
        return names

    def _sources(self) -> list[tuple[int, str, str]]:
        """The datasets and licences, as decoded from JSON."""
        rows = self._db.execute(queries.DISTINCT_SOURCES).fetchall()
        decoded = {row: (_json_text(row[0]), _json_text(row[1])) for row in rows}
        ids = {pair: number for number, pair in enumerate(sorted(set(decoded.values())), start=1)}
        self._db.execute(queries.SOURCES)
        for row, pair in decoded.items():
            self._db.execute(queries.ADD_SOURCE, [*row, ids[pair]])
        return [(number, *pair) for pair, number in ids.items()]

    def _counts(self, names: Mapping[str, str]) -> tuple[dict[str, RelationCounts], dict[str, int]]:
        by_relation: dict[str, RelationCounts] = {}
        left_out: dict[str, int] = {}
        counted = queries.COUNTS if self._number(queries.COUNT_BAD) else queries.COUNTS_ALL_USABLE
        for relation, why, lines, usable in self._db.execute(counted).fetchall():
            if why in queries.LEFT_OUT:
                left_out[queries.LEFT_OUT[why]] = left_out.get(queries.LEFT_OUT[why], 0) + lines
            if relation is None or why == queries.MALFORMED:
                continue
            name = names.get(relation, self._vocabulary.canonical_name(relation))
            before = by_relation.get(name, RelationCounts())
            kept = usable if why == queries.KEPT else 0
            by_relation[name] = RelationCounts(
                before.read + lines, before.kept + kept, before.edges
            )
        for name, edges in self._db.execute(queries.EDGES_BY_RELATION).fetchall():
            by_relation[name] = RelationCounts(
                by_relation[name].read, by_relation[name].kept, edges
            )
        return dict(sorted(by_relation.items())), left_out

    def _fingerprint(self) -> str:
        concepts = self._number(
            queries.CONCEPTS_DIGEST.format(file=quoted(self._folder / "concepts.parquet"))
        )
        edges = self._number(
            queries.EDGES_DIGEST.format(file=quoted(self._folder / "edges.parquet"))
        )
        return base_fingerprint(concepts, edges)

    # DuckDB

    def _number(self, query: str) -> int:
        rows = self._db.execute(query).fetchall()
        return int(rows[0][0] or 0)

    def _do(self, query: str, phase: Phase, parameters: Mapping[str, object] | None = None) -> None:
        execute(self._db, query, phase, parameters)


def connect(limits: Limits, spill: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB that keeps to the limits and spills to `spill`."""
    db = duckdb.connect()
    db.execute("SET memory_limit = ?", [f"{int(limits.memory_bytes * DUCKDB_SHARE) >> 20}MiB"])
    db.execute("SET threads = ?", [limits.threads])
    db.execute("SET temp_directory = ?", [str(spill)])
    db.execute(
        "SET enable_progress_bar = true; SET enable_progress_bar_print = false; SET progress_bar_time = 0"
    )
    return db


def execute(
    db: duckdb.DuckDBPyConnection,
    query: str,
    phase: Phase,
    parameters: Mapping[str, object] | None = None,
) -> None:
    """Run a statement in a thread of its own and show how far it is; Ctrl-C interrupts it."""

    def show() -> None:
        fraction = db.query_progress() / 100
        if 0 <= fraction <= 1:
            phase.at(fraction)

    run_beside(
        lambda: db.execute(query, parameters) if parameters else db.execute(query),
        lambda _: db.interrupt(),
        show,
    )


def _key(text: str) -> str:
    """The key of a concept, empty where no store takes the text. Called for what is not tidy ASCII."""
    try:
        return checked_concept(text).key
    except NoTriple:
        return ""


def _text(text: str) -> str:
    return Concept.of(text.strip()).text


def _json_text(value: str | None) -> str:
    if value is None:
        return ""
    decoded = json.loads(value)
    return decoded if isinstance(decoded, str) else value
