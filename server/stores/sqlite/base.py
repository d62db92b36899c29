"""The base graph in one SQLite file, which a loader writes whole and swaps in."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from server.errors import DataLoss, StoreUnusable
from server.graph.concept import Concept, concept_key, legacy_spellings
from server.graph.triple import Triple
from server.stores.rules.base_graph import BaseCounts
from server.stores.rules.view import BaseEdge, BaseSlice, base_slice
from server.stores.sqlite import sql
from server.stores.sqlite.connection import is_locked, watched

BASE_FILE = "base.db"
BasePlace = tuple[int, int, int]
"""A place among the base's triples at a concept: (position of the relation among all by name, 0 for
stored and 1 for mirrored edges, offset)."""


class StoredConcept(NamedTuple):
    """A concept in a base file."""

    id: int
    text: str
    retrievable_triples: int


@dataclass(frozen=True, slots=True)
class _Side:
    """The edges of one relation at one concept, read from that concept."""

    head: Concept
    head_id: int
    relation: str
    relation_id: int


class BaseReader:
    """Reads one base file over one connection. A missing file is an empty base.

    A base loaded before KEYS_VERSION 2 keeps some concepts under older keys. Callers ask for them
    by today's keys and get today's keys back. Where the base has two concepts that are one today,
    the one stored under today's key is read.
    """

    def __init__(self, path: Path) -> None:
        """Open the file at `path`.

        Raises DataLoss when it is not a base, and StoreUnusable when a newer version wrote it.
        """
        self.identity = file_identity(path)
        self.fingerprint = ""
        if self.identity is None:
            self._connection = _read_only(":memory:")
            self._connection.executescript(sql.BASE_SCHEMA + sql.BASE_INDEXES)
        else:
            with _as_damage(path):
                self._connection = _read_only(f"{path.resolve().as_uri()}?mode=ro")
        try:
            with _as_damage(path):
                self._look_around(path)
        except BaseException:
            self.close()
            raise

    def _look_around(self, path: Path) -> None:
        """Read what every other read needs."""
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
                f"{path.name} is damaged or not a base graph (it has no schema version);"
                " load the base again"
            )
        if int(version[:9]) > sql.BASE_SCHEMA_VERSION:
            raise StoreUnusable(
                f"{path.name} was written by a newer version of this service;"
                " update it, or load the base again"
            )

    def _rows(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """All rows of a query at once, so that no statement stays open."""
        run = self._connection.execute
        with watched(statement), contextlib.closing(run(statement, arguments)) as cursor:
            return cursor.fetchall()

    def meta(self, key: str) -> str:
        """What the loader noted under `key`; empty where it noted nothing."""
        found = self._rows(sql.GET_META, key)
        return str(found[0][0]) if found else ""

    def close(self) -> None:
        self._connection.close()

    # What users see

    def concepts(self, keys: Sequence[str]) -> dict[str, StoredConcept]:
        """Those of `keys` that are concepts of the base."""
        today = {spelling: key for key in keys for spelling in legacy_spellings(key)}
        rows = self._rows(sql.LOOK_UP_CONCEPTS, json.dumps([*keys, *today]))
        found = {key: StoredConcept(*concept) for key, *concept in rows}
        for spelling, key in today.items():
            if spelling in found:
                found.setdefault(key, found[spelling])
        return {key: found[key] for key in keys if key in found}

    def forms_of(self, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """The keys of the concepts that each id is a FormOf."""
        relation = self.relations.get("FormOf")
        if relation is None:
            return {}
        forms: dict[int, tuple[str, ...]] = {}
        for head, key in self._rows(sql.FORMS_OF, json.dumps(list(ids)), relation):
            forms[head] = (*forms.get(head, ()), concept_key(key))
        return forms

    def slices(self, head: Concept, limit: int) -> dict[str, BaseSlice]:
        """The triples at `head` by relation: the heaviest `limit` and the number of all."""
        slices = {}
        for side in self._sides(head, self.relations):
            asked = (side.head_id, side.relation_id)
            stored = self._rows(sql.COUNT_OF_RELATION, *asked)[0][0] or 0
            mirrored = self._rows(sql.COUNT_MIRRORED, *asked)[0][0] if side.relation_id < 0 else 0
            if stored or mirrored:
                slices[side.relation] = base_slice(
                    stored + mirrored,
                    [edge for edge, _ in self._stored(side, 0, limit)] if stored else [],
                    self._mirrored(side, 0, limit) if mirrored else [],
                    limit,
                )
        return slices

    def edges_from(
        self, head: Concept, start: BasePlace, count: int
    ) -> Iterator[tuple[BaseEdge, BasePlace]]:
        """The triples at `head` from `start` on, by relation name, each with the place behind it.

        At most `count` are read at a time.
        """
        sides = self._sides(head, sorted(self.relations))
        position, half, offset = start
        for at, side in enumerate(sides[position:], start=position):
            if half == 0:
                for edge, rank in self._stored(side, offset, count):
                    yield edge, (at, 0, rank + 1)
                offset = 0
            if side.relation_id < 0:
                for place, edge in enumerate(self._mirrored(side, offset, count), offset + 1):
                    yield edge, (at, 1, place)
            half = offset = 0

    def _sides(self, head: Concept, relations: Iterable[str]) -> list[_Side]:
        known = self.concepts([head.key]).get(head.key)
        if known is None:
            return []
        return [_Side(head, known.id, name, self.relations[name]) for name in relations]

    def _stored(self, side: _Side, rank: int, limit: int) -> Iterator[tuple[BaseEdge, int]]:
        """Edges whose head is this concept, from `rank` on, each with its rank."""
        asked = (side.head_id, side.relation_id, rank, limit)
        for at, key, text, *details in self._rows(sql.EDGES_OF_RELATION, *asked):
            yield BaseEdge(Triple(side.head, side.relation, _concept(key, text)), *details), at

    def _mirrored(self, side: _Side, offset: int, limit: int) -> list[BaseEdge]:
        """Edges of a symmetric relation whose tail is this concept, heaviest first."""
        rows = self._rows(self._mirrored_edges, side.head_id, side.relation_id, limit, offset)
        return [
            BaseEdge(Triple(side.head, side.relation, _concept(key, text)), *details)
            for _, key, text, *details in rows
        ]

    def places_of(self, triples: Iterable[Triple]) -> set[int]:
        """The places, among `triples` in their canonical form, of those that the base has."""
        triples = list(triples)
        older = self._older_keys({c.key for t in triples for c in (t.head, t.tail)})
        asked = [
            (older.get(t.head.key, t.head.key), t.relation, older.get(t.tail.key, t.tail.key))
            for t in triples
        ]
        found = self._places_of_keys(asked)
        if older:  # which end of a symmetric triple comes first may have changed with the keys
            found |= self._places_of_keys(
                (tail, relation, head)
                if self.relations.get(relation, 0) < 0
                else (head, relation, tail)
                for head, relation, tail in asked
            )
        return found

    def _places_of_keys(self, asked: Iterable[tuple[str, str, str]]) -> set[int]:
        return {place for (place,) in self._rows(sql.FIND_EDGES, json.dumps(list(asked)))}

    def _older_keys(self, keys: Iterable[str]) -> dict[str, str]:
        """The key that the base uses for each of `keys`, where it is not today's."""
        spellings = {key: (key, *others) for key in keys if (others := legacy_spellings(key))}
        if not spellings:
            return {}
        asked = [spelling for several in spellings.values() for spelling in several]
        kept = {row[0] for row in self._rows(sql.LOOK_UP_CONCEPTS, json.dumps(asked))}
        older = {}
        for key, several in spellings.items():
            first = next((spelling for spelling in several if spelling in kept), key)
            if first != key:
                older[key] = first
        return older

    # What loaders ask

    def find_whole(self, head: str, relation: str, tail: str) -> tuple[float, str, str] | None:
        """(weight, dataset, license) of an edge in canonical form; None where there is none."""
        row: tuple[float, str, str] | None = self._connection.execute(
            sql.FIND_WHOLE_EDGE, (head, relation, tail)
        ).fetchone()
        return row

    def integrity(self) -> str:
        """Read the whole file. Returns "ok", or the first thing that is wrong with it."""
        return str(self._rows(sql.QUICK_INTEGRITY)[0][0])

    def counted_relations(self) -> dict[str, int]:
        """The edges of each relation, counted one by one."""
        return dict(self._connection.execute(sql.COUNT_RELATIONS).fetchall())

    def largest_hubs(self, count: int) -> list[tuple[str, int]]:
        """(text, edges at both ends) of the concepts with the most edges. Reads the whole base."""
        return self._connection.execute(sql.LARGEST_HUBS, (count,)).fetchall()

    def counts(self) -> BaseCounts:
        relations = {name: edges for _, name, edges in self._connection.execute(sql.ALL_RELATIONS)}
        concepts = self._connection.execute(sql.COUNT_CONCEPTS).fetchone()[0]
        return BaseCounts(concepts, sum(relations.values()), self.fingerprint, relations)


def _read_only(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


@contextlib.contextmanager
def _as_damage(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that is not a base into DataLoss."""
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
    """The concept that the base keeps under `key`, with today's key."""
    return Concept(key if key.isascii() else concept_key(text) or key, text)


def declared_relations(folder: Path) -> str:
    """The TOML of the relations that the base in `folder` declares; empty where it declares none.

    Raises StoreUnusable when something else is in the base's place.
    """
    with _base_in(folder) as reader:
        return reader.meta("declared")


def relation_names(folder: Path) -> list[str]:
    """The names of the relations that the base in `folder` uses. Raises StoreUnusable."""
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
    """What distinguishes a base file from one that replaces it; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
