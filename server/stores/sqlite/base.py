"""The base graph in one SQLite file: written whole by a loader, then read only, replaced by
swapping the file."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.errors import DataLoss, StoreUnusable
from server.graph.concept import Concept, concept_key, legacy_spellings
from server.graph.relation import Vocabulary
from server.graph.triple import Triple, canonical
from server.stores.rules.base_graph import BaseCounts, base_fingerprint, micro, row_digest
from server.stores.rules.view import BaseEdge, BaseSlice, base_slice
from server.stores.sqlite import sql
from server.stores.sqlite.connection import is_locked
from server.stores.sqlite.private_files import create_private, private_folder

BASE_FILE = "base.db"
_STAGE_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class BaseTriple:
    """A triple for the base, with its weight and where it comes from."""

    triple: Triple
    weight: float = 1.0
    dataset: str = ""
    license: str = ""


def build_base(folder: Path, triples: Iterable[BaseTriple], vocabulary: Vocabulary) -> BaseCounts:
    """Write a new base beside the present one and swap it in whole; a reader sees the old one or
    the new one.

    Triples given twice are merged (the highest weight stays). Raises what the disk raises, and then
    nothing changed.
    """
    private_folder(folder)
    building = folder / f"{BASE_FILE}.building-{os.getpid()}"
    building.unlink(missing_ok=True)
    try:
        create_private(building)
        connection = sqlite3.connect(building, isolation_level=None)
        try:
            counts = _fill(connection, triples, vocabulary)
        finally:
            connection.close()
        sync_file(building)
        building.replace(folder / BASE_FILE)
        sync_file(folder)
    finally:
        building.unlink(missing_ok=True)
    return counts


def _fill(
    connection: sqlite3.Connection, triples: Iterable[BaseTriple], vocabulary: Vocabulary
) -> BaseCounts:
    connection.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + sql.BASE_SCHEMA + sql.BASE_STAGING
    )
    connection.execute("BEGIN")
    rows = _staged_rows(triples, vocabulary)
    connection.executemany(sql.STAGE, rows)
    connection.execute("COMMIT")
    connection.execute(sql.MERGE_STAGED)
    connection.execute(sql.FILL_CONCEPTS)
    connection.execute(sql.FILL_SOURCES)
    counts: dict[str, int] = dict(connection.execute(sql.COUNT_STAGED_RELATIONS).fetchall())
    for number, (relation, count) in enumerate(counts.items(), start=1):
        signed = -number if vocabulary.is_symmetric(relation) else number
        connection.execute(sql.INSERT_RELATION, (signed, relation, count))
    connection.execute(sql.FILL_EDGES)
    connection.executescript(sql.BASE_INDEXES)
    connection.execute(sql.CREATE_COUNTED)
    relations = connection.execute(sql.ALL_RELATIONS).fetchall()
    connection.executemany(
        sql.INSERT_COUNTED,
        [(number,) for number, name, _ in relations if vocabulary.is_retrievable(name)],
    )
    connection.execute(sql.COUNT_RETRIEVABLE)
    fingerprint = _fingerprint(connection)
    for key, value in (
        ("schema_version", str(sql.BASE_SCHEMA_VERSION)),
        ("fingerprint", fingerprint),
    ):
        connection.execute(sql.PUT_META, (key, value))
    connection.execute("ANALYZE")
    concepts = connection.execute(sql.COUNT_CONCEPTS).fetchone()[0]
    return BaseCounts(concepts, sum(counts.values()), fingerprint, counts)


def _staged_rows(
    triples: Iterable[BaseTriple], vocabulary: Vocabulary
) -> Iterator[tuple[object, ...]]:
    for line, given in enumerate(triples):
        t = canonical(given.triple, vocabulary)
        yield (
            t.head.key,
            t.relation,
            t.tail.key,
            t.head.text,
            t.tail.text,
            given.weight,
            given.dataset,
            given.license,
            line,
        )


def _fingerprint(connection: sqlite3.Connection) -> str:
    concepts = edges = 0
    for number, key in connection.execute(sql.CONCEPTS_IN_ORDER):
        concepts ^= row_digest(number, key)
    for head, relation, rank, tail, weight in connection.execute(sql.EDGES_IN_ORDER):
        edges ^= row_digest(head, relation, rank, tail, micro(weight))
    return base_fingerprint(concepts, edges)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One writing transaction: all that is done in it is committed at its end, and nothing where it
    raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise


def sync_file(path: Path) -> None:
    """Have the file (or folder) on disk before anything relies on it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class BaseReader:
    """Reads one base file over one connection. An absent file is an empty base.

    A base loaded before KEYS_VERSION 2 keeps some concepts under a key of then. They are asked for,
    and told, by the key of today; where it holds two that are one now, the one with today's key is
    read.
    """

    def __init__(self, path: Path) -> None:
        """Open what is at `path`. Raises DataLoss when it is no base, StoreUnusable when it is a
        newer one."""
        self.identity = file_identity(path)
        self.fingerprint = ""
        if self.identity is None:
            self._connection = sqlite3.connect(
                ":memory:", isolation_level=None, check_same_thread=False
            )
            self._connection.executescript(sql.BASE_SCHEMA + sql.BASE_INDEXES)
        else:
            with _as_damage(path):
                self._connection = sqlite3.connect(
                    f"{path.resolve().as_uri()}?mode=ro",
                    uri=True,
                    isolation_level=None,
                    check_same_thread=False,
                )
        try:
            with _as_damage(path):
                self._look_around(path)
        except BaseException:
            self.close()
            raise

    def _look_around(self, path: Path) -> None:
        """What all reading starts from."""
        if self.identity is not None:
            self._require_readable(path)
            self.fingerprint = self.meta("fingerprint")
        indexed = self._rows(sql.HAS_MIRRORED_INDEX)[0][0]
        self._mirrored_edges = sql.MIRRORED_EDGES if indexed else sql.MIRRORED_EDGES_SORTED
        self.relations = {name: number for number, name, _ in self._rows(sql.ALL_RELATIONS)}

    def _require_readable(self, path: Path) -> None:
        version = self.meta("schema_version")
        if not (version.isascii() and version.isdigit()):
            raise DataLoss(
                f"{path.name} is damaged or not a base graph (it has no schema version); load the base again"
            )
        if int(version[:9]) > sql.BASE_SCHEMA_VERSION:
            raise StoreUnusable(
                f"{path.name} was written by a newer version of this service; update it, or load the base again"
            )

    def _rows(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """All rows at once: none that cannot be used leaves the statement open."""
        with contextlib.closing(self._connection.execute(statement, arguments)) as cursor:
            return cursor.fetchall()

    def meta(self, key: str) -> str:
        """What the loader noted under `key`; empty where it noted nothing."""
        found = self._rows(sql.GET_META, key)
        return str(found[0][0]) if found else ""

    def close(self) -> None:
        self._connection.close()

    def concept_ids(self, keys: Sequence[str]) -> dict[str, tuple[int, str, int]]:
        """key -> (id, text, number of retrievable triples), for those of `keys` that are concepts."""
        today = {spelling: key for key in keys for spelling in legacy_spellings(key)}
        rows = self._rows(sql.LOOK_UP_CONCEPTS, json.dumps([*keys, *today]))
        found = {key: (number, text, retrievable) for key, number, text, retrievable in rows}
        for spelling, key in today.items():
            if spelling in found:
                found.setdefault(key, found[spelling])
        return {key: found[key] for key in keys if key in found}

    def _keys_of_then(self, keys: Iterable[str]) -> dict[str, str]:
        """key -> the key under which the base keeps the concept, for those that it keeps under
        another."""
        spellings = {key: (key, *others) for key in keys if (others := legacy_spellings(key))}
        if not spellings:
            return {}
        asked = [spelling for several in spellings.values() for spelling in several]
        kept = {row[0] for row in self._rows(sql.LOOK_UP_CONCEPTS, json.dumps(asked))}
        firsts = {
            key: next((s for s in several if s in kept), key) for key, several in spellings.items()
        }
        return {key: first for key, first in firsts.items() if first != key}

    def forms_of(self, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """id -> keys of the concepts that it is a FormOf."""
        relation = self.relations.get("FormOf")
        if relation is None:
            return {}
        forms: dict[int, tuple[str, ...]] = {}
        for head, key in self._rows(sql.FORMS_OF, json.dumps(list(ids)), relation):
            forms[head] = (*forms.get(head, ()), concept_key(key))
        return forms

    def slices(self, head: Concept, limit: int) -> dict[str, BaseSlice]:
        """The triples at `head` by relation, each relation's heaviest `limit` read and all counted."""
        known = self.concept_ids([head.key]).get(head.key)
        if known is None:
            return {}
        number = known[0]
        slices = {}
        for name, relation in self.relations.items():
            stored: list[BaseEdge] = []
            mirrored: list[BaseEdge] = []
            count = self._rows(sql.COUNT_OF_RELATION, number, relation)[0][0] or 0
            if count:
                stored = [e for e, _ in self._edges(head, number, name, relation, 0, limit)]
            if relation < 0 and (more := self._rows(sql.COUNT_MIRRORED, number, relation)[0][0]):
                count += more
                mirrored = self._mirrored(head, number, name, relation, 0, limit)
            if count:
                slices[name] = base_slice(count, stored, mirrored, limit)
        return slices

    def edges_from(
        self, head: Concept, cursor: tuple[int, int, int], count: int
    ) -> Iterator[tuple[BaseEdge, tuple[int, int, int]]]:
        """The triples at `head` in the order of relation names, from `cursor` on, each with the
        cursor behind it.

        A cursor is (position of the relation, 0 for stored and 1 for mirrored edges, offset).
        """
        known = self.concept_ids([head.key]).get(head.key)
        if known is None:
            return
        number = known[0]
        names = sorted(self.relations)
        position, side, offset = cursor
        while position < len(names):
            name = names[position]
            relation = self.relations[name]
            if side == 0:
                for edge, rank in self._edges(head, number, name, relation, offset, count):
                    yield edge, (position, 0, rank + 1)
            elif relation < 0:
                for n, edge in enumerate(
                    self._mirrored(head, number, name, relation, offset, count)
                ):
                    yield edge, (position, 1, offset + n + 1)
            position, side, offset = (position, 1, 0) if side == 0 else (position + 1, 0, 0)

    def _edges(
        self, head: Concept, number: int, name: str, relation: int, rank: int, limit: int
    ) -> Iterator[tuple[BaseEdge, int]]:
        rows = self._rows(sql.EDGES_OF_RELATION, number, relation, rank, limit)
        for at, key, text, weight, dataset, license in rows:
            yield BaseEdge(Triple(head, name, _concept(key, text)), weight, dataset, license), at

    def _mirrored(
        self, head: Concept, number: int, name: str, relation: int, offset: int, limit: int
    ) -> list[BaseEdge]:
        rows = self._rows(self._mirrored_edges, number, relation, limit, offset)
        return [
            BaseEdge(Triple(head, name, _concept(key, text)), weight, d, li)
            for _, key, text, weight, d, li in rows
        ]

    def places_of(self, triples: Iterable[Triple]) -> set[int]:
        """The places, among `triples` in their canonical form, of those that the base has."""
        triples = list(triples)
        kept = self._keys_of_then({c.key for t in triples for c in (t.head, t.tail)})
        asked = [
            [kept.get(t.head.key, t.head.key), t.relation, kept.get(t.tail.key, t.tail.key)]
            for t in triples
        ]
        found = {place for (place,) in self._rows(sql.FIND_EDGES, json.dumps(asked))}
        if kept:  # which end of a symmetric triple comes first may have changed with the keys
            mirrored = [
                [t, r, h] if self.relations.get(r, 0) < 0 else [h, r, t] for h, r, t in asked
            ]
            found |= {place for (place,) in self._rows(sql.FIND_EDGES, json.dumps(mirrored))}
        return found

    def find_whole(self, head: str, relation: str, tail: str) -> tuple[float, str, str] | None:
        """(weight, dataset, license) of the edge between two keys, in canonical form; None where
        there is none."""
        row: tuple[float, str, str] | None = self._connection.execute(
            sql.FIND_WHOLE_EDGE, (head, relation, tail)
        ).fetchone()
        return row

    def integrity(self) -> str:
        """ "ok", or the first thing that is wrong with the file; reads all of it."""
        return str(self._rows(sql.QUICK_INTEGRITY)[0][0])

    def counted_relations(self) -> dict[str, int]:
        """Edges by relation, counted one by one."""
        return dict(self._connection.execute(sql.COUNT_RELATIONS).fetchall())

    def largest_hubs(self, count: int) -> list[tuple[str, int]]:
        """(text, edges at both ends) of the concepts with the most edges; reads the whole base."""
        return self._connection.execute(sql.LARGEST_HUBS, (count,)).fetchall()

    def all_concepts(self, start: int) -> Iterator[tuple[str, str, int]]:
        """(key, text, number of retrievable triples) of each concept, by key, from place `start`
        on."""
        yield from self._connection.execute(sql.CONCEPTS_FROM, (start,))

    def all_edges(
        self, start: int
    ) -> Iterator[tuple[str, str, str, int, int | None, float, str, str]]:
        """(head, relation, tail, rank, rank at the tail if symmetric, weight, dataset, license)
        from `start` on."""
        yield from self._connection.execute(sql.EDGES_FROM, (start,))

    def counts(self) -> BaseCounts:
        relations = {name: edges for _, name, edges in self._connection.execute(sql.ALL_RELATIONS)}
        concepts = self._connection.execute(sql.COUNT_CONCEPTS).fetchone()[0]
        return BaseCounts(concepts, sum(relations.values()), self.fingerprint, relations)


@contextlib.contextmanager
def _as_damage(path: Path) -> Iterator[None]:
    """What SQLite says of a file that is not a base."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_locked(error):
            raise
        reason = str(error).partition(chr(10))[0]
        raise DataLoss(
            f"{path.name} is damaged or not a base graph ({reason}); load the base again"
        ) from error


def _concept(key: str, text: str) -> Concept:
    """The concept that the base keeps under `key`, with the key of today."""
    return Concept(key if key.isascii() else concept_key(text) or key, text)


def declared_relations(folder: Path) -> str:
    """TOML of the relations that the base in `folder` brought along; empty where it brought none.

    Raises StoreUnusable when there is something else in the base's place.
    """
    with _base_in(folder) as reader:
        return reader.meta("declared")


def relation_names(folder: Path) -> list[str]:
    """The names of the relations that the base in `folder` uses. Raises StoreUnusable as
    `declared_relations` does."""
    with _base_in(folder) as reader:
        return list(reader.relations)


@contextlib.contextmanager
def _base_in(folder: Path) -> Iterator[BaseReader]:
    try:
        reader = BaseReader(folder / BASE_FILE)
    except (DataLoss, StoreUnusable) as error:
        raise StoreUnusable(f"{folder}: {error}") from error
    except OSError as error:
        raise StoreUnusable(
            f"the base graph in {folder} cannot be read: {error.strerror}"
        ) from error
    try:
        yield reader
    finally:
        reader.close()


def file_identity(path: Path) -> tuple[int, int] | None:
    """Tells one base file from the next that takes its place; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
