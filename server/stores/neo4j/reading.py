"""One user's reads in one transaction.

Neo4j isolates by read-committed: between two statements of a transaction, another one may commit.
So every statement says where things stand, and a `Reading` remembers what the first and the last
one said. If they differ, the user's overlay or the base moved, and the read is done again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, LiteralString, NamedTuple

import neo4j

from server.errors import BaseLoading
from server.graph.concept import Concept
from server.graph.edit import Edit, UnreadableEdit
from server.graph.neighborhood import ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Triple, canonical
from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Tx, one
from server.stores.neo4j.rows import (
    NEWEST,
    age_of,
    asked_rows,
    base_concept,
    base_edge,
    edits_of,
    facts_of,
    marks_of,
    place_of,
    slices_of,
    spellings,
    standing_of,
    triple_of,
    uri_of,
    who,
)
from server.stores.rules.concepts import BaseConcept, PersonalConcepts, personal_concepts
from server.stores.rules.cursors import Place
from server.stores.rules.logs import replayed
from server.stores.rules.records import all_readable
from server.stores.rules.revisions import revision_to_read
from server.stores.rules.view import BaseEdge, BaseSlice, seen_from
from server.tuning.ports import PersonalFact, Snapshot

_PIECES = 4
"""How many pieces of the base a page reads at most to get past triples that the user marked."""
_MOVES = ("latest", "overlay_id", "epoch", "fingerprint")
"""What must be the same at the first and the last statement of a read."""


class OwnPlace(NamedTuple):
    """Where a page of a neighborhood starts among the user's own triples: behind an age."""

    age: str = NEWEST


class BasePlace(NamedTuple):
    """Where a page of a neighborhood starts in the base, which is read by relation, side and rank.

    Side 0 has the triples stored at the concept; side 1 has symmetric ones seen from their tail.
    """

    relation: str = ""
    side: int = 0
    rank: int = 0


class Reading:
    """What one user's transaction has read so far. Raises BaseLoading at any statement."""

    def __init__(self, tx: Tx, user: str, vocabulary: Vocabulary) -> None:
        self._tx = tx
        self._user = user
        self._vocabulary = vocabulary
        self._symmetric = sorted(vocabulary.symmetric_names())
        self.first: neo4j.Record | None = None
        self.last: neo4j.Record | None = None

    @property
    def is_of_one_moment(self) -> bool:
        """Whether nothing moved between the first and the last statement."""
        if self.first is None or self.last is None:
            return True
        return all(self.first[name] == self.last[name] for name in _MOVES)

    async def ask(self, statement: LiteralString, **parameters: Any) -> neo4j.Record:
        """The one record that a statement about the user yields. Raises BaseLoading."""
        record = await one(self._tx, statement, **who(self._user), **parameters)
        require_ready(record)
        if self.first is None:
            self.first = record
        self.last = record
        return record

    async def stand_record(self) -> neo4j.Record:
        """The record that says where things stand."""
        return await self.ask(cypher.WHERE_IT_STANDS)

    async def stand(self) -> Snapshot:
        """Where the user stands. Raises DataLoss."""
        return standing_of(await self.stand_record())

    # The overlay

    async def marks_at(
        self, head: Concept, at_revision: int | None
    ) -> tuple[int, dict[Triple, Mark]]:
        """(the revision read, the marks on triples that start at `head`)."""
        record = await self.ask(cypher.MARKS_AT, **self._at(head), before=NEWEST)
        revision = _revision(record, at_revision)
        if revision == record["latest"]:
            marks: Mapping[Triple, Mark] = marks_of(record["marks"])
        else:
            marks = await self._marks_then(revision, [uri_of(head.key)])
        return revision, seen_from(marks, head, self._vocabulary)

    async def marks_on(self, triples: Iterable[Triple]) -> dict[Triple, Mark]:
        """The marks on these triples, in canonical form."""
        keys = [triple_of(self._user, self.canonical(triple)) for triple in triples]
        return marks_of((await self.ask(cypher.MARKS_ON, marked=keys))["marks"])

    async def all_marks(self) -> dict[Triple, Mark]:
        return marks_of((await self.ask(cypher.ALL_MARKS))["marks"])

    async def _marks_then(self, revision: int, uris: Sequence[str]) -> Mapping[Triple, Mark]:
        """The marks around `uris` at a revision before the latest. Raises UnreadableRecord."""
        edits = await self.edits(cypher.EDITS_UP_TO, revision=revision, uris=uris)
        return replayed(all_readable(edits)).marks

    async def own_page(
        self, head: Concept, start: OwnPlace | BasePlace, count: int, at_revision: int
    ) -> tuple[dict[Triple, Mark], Mapping[Triple, Mark] | None]:
        """(the next `count` marks on triples that start at `head`, newest first; all of them if
        `at_revision` is in the past, else None)."""
        past = await self._marks_in_the_past(head, at_revision)
        if isinstance(start, BasePlace):
            return {}, past
        if past is not None:
            older = [(t, m) for t, m in self._by_age(past) if self.age(t, m) < start.age]
            return dict(older[:count]), past
        record = await self.ask(
            cypher.MARKS_AT_PAGE, **self._at(head), before=start.age, count=count
        )
        _revision(record, at_revision)
        newest = _newest_first(record["marks"])[:count]
        return seen_from(marks_of(newest), head, self._vocabulary), None

    async def _marks_in_the_past(
        self, head: Concept, at_revision: int
    ) -> dict[Triple, Mark] | None:
        """All marks at `head` at a revision before the latest; None at the latest, whose marks can
        be read page by page."""
        latest = (await self.stand()).revision
        revision = revision_to_read(at_revision, latest)
        if revision == latest:
            return None
        marks = await self._marks_then(revision, [uri_of(head.key)])
        return seen_from(marks, head, self._vocabulary)

    async def facts_page(
        self, before: str, count: int, at_revision: int
    ) -> list[tuple[PersonalFact, Place]]:
        """Facts older than the age `before`, newest first, each with its age.

        At the latest revision at most `count`; in the past all of them.
        """
        record = await self.ask(cypher.FACTS_PAGE, before=before, count=count)
        if _revision(record, at_revision) != record["latest"]:
            facts = await self._facts_then(at_revision)
        else:
            newest = _newest_first(record["marks"])
            ages = [row["age"] for row in newest]
            facts = list(zip(facts_of(newest), ages, strict=True))
        await self.stand()
        return [(fact, (age,)) for fact, age in facts if age < before]

    async def _facts_then(self, revision: int) -> list[tuple[PersonalFact, str]]:
        """All facts at a revision before the latest, newest first, each with its age."""
        edits = all_readable(await self.edits(cypher.EDITS_UP_TO, revision=revision, uris=None))
        behind = {edit.revision: (edit.id, edit.time_ms) for edit in edits}
        facts = []
        for triple, mark in self._by_age(replayed(edits).marks):
            edit_id, time_ms = behind.get(mark.stamp.revision, ("", 0))
            facts.append((PersonalFact(triple, mark, edit_id, time_ms), self.age(triple, mark)))
        return facts

    async def personal(self, keys: Sequence[str], at_revision: int | None) -> PersonalConcepts:
        """Those of `keys` that the user's overlay adds."""
        places = [place_of(self._user, key) for key in keys]
        record = await self.ask(cypher.PERSONAL_AMONG, keys=places)
        revision = _revision(record, at_revision)
        by_uri = {uri_of(key): key for key in keys}
        if revision != record["latest"]:
            return personal_concepts(await self._marks_then(revision, list(by_uri)), set(keys))
        heads, tails = {}, {}
        for row in record["heads"]:
            if row["uri"] in by_uri:
                heads[by_uri[row["uri"]]] = (row["text"], row["triples"])
        for row in record["tails"]:
            if row["uri"] in by_uri:
                tails[by_uri[row["uri"]]] = row["text"]
        return PersonalConcepts(heads, tails)

    # The log

    async def sizes_of_edits(
        self, upto: int, count: int, at_revision: int
    ) -> Sequence[Mapping[str, int]]:
        """(revision, bytes) of the newest `count` edits up to a revision."""
        record = await self.ask(cypher.SIZES_OF_EDITS, revision=upto, count=count)
        _revision(record, at_revision)
        sizes: Sequence[Mapping[str, int]] = record["sizes"]
        return sizes

    async def edits(
        self, statement: LiteralString, **parameters: Any
    ) -> list[Edit | UnreadableEdit]:
        """The edits that a statement finds."""
        return edits_of((await self.ask(statement, **parameters))["edits"])

    # The base

    async def in_base(self, triples: Iterable[Triple]) -> set[Triple]:
        """Those of `triples` that the base has."""
        every = list(triples)
        record = await self.ask(cypher.IN_BASE, triples=self._asked(every))
        return {every[at] for at in record["in_base"]}

    async def base_slices(
        self, head: Concept, limit: int, marks: Mapping[Triple, Mark]
    ) -> tuple[dict[str, BaseSlice], set[Triple]]:
        """(the base's triples at `head` by relation, those of `marks` that the base has)."""
        every = list(marks)
        record = await self.ask(
            cypher.BASE_SLICES,
            uris=spellings(head.key),
            limit=limit,
            triples=self._asked(every),
        )
        in_base = {every[at] for at in record["in_base"]}
        return slices_of(head, record["slices"], limit), in_base

    async def base_page(
        self, head: Concept, place: BasePlace, count: int, past: Mapping[Triple, Mark] | None
    ) -> tuple[list[tuple[ViewedTriple, Place]], Place | None]:
        """(up to `count` triples of the base from `place` on, each with the place behind it; the
        place behind them all, or None at the end).

        Triples that the user marked are passed over. If there are many of them, fewer than `count`
        come, although this is not the end. `past` has all marks at `head` at a past revision; at
        the latest one it is None, and the marks are read here.
        """
        listed: list[tuple[ViewedTriple, Place]] = []
        for _ in range(_PIECES):
            asked = count - len(listed)
            edges = await self._base_piece(head, place, asked)
            marked = past
            if marked is None:
                on_edges = await self.marks_on(edge.triple for edge, _ in edges)
                marked = seen_from(on_edges, head, self._vocabulary)
            for edge, behind in edges:
                if edge.triple not in marked:
                    listed.append((edge.viewed(), behind))
            if len(edges) < asked:
                return listed, None
            place = edges[-1][1]
            if len(listed) >= count:
                break
        return listed, place

    async def _base_piece(
        self, head: Concept, place: BasePlace, count: int
    ) -> list[tuple[BaseEdge, BasePlace]]:
        """The next `count` edges of the base from `place` on, each with the place behind it."""
        record = await self.ask(
            cypher.BASE_PAGE, uris=spellings(head.key), count=count, **place._asdict()
        )
        edges = []
        for row in record["edges"]:
            behind = BasePlace(row["relation"], row["side"], row["rank"] + 1)
            edges.append((base_edge(head, row["relation"], row), behind))
        return edges

    async def concepts(self, keys: Sequence[str]) -> dict[str, BaseConcept]:
        """Those of `keys` that the base has."""
        # Of several spellings, the first key's likeliest one is the last and so the one that stays.
        uris: dict[str, str] = {}
        for key in reversed(keys):
            for uri in reversed(spellings(key)):
                uris[uri] = key
        record = await self.ask(cypher.CONCEPTS, uris=list(uris))
        rows = {row["uri"]: row for row in record["concepts"]}
        return {key: base_concept(rows[uri]) for uri, key in uris.items() if uri in rows}

    # Names in indexes

    def canonical(self, triple: Triple) -> Triple:
        return canonical(triple, self._vocabulary)

    def age(self, triple: Triple, mark: Mark) -> str:
        return age_of(self._user, self.canonical(triple), mark.stamp)

    def _by_age(self, marks: Mapping[Triple, Mark]) -> list[tuple[Triple, Mark]]:
        return sorted(marks.items(), key=lambda item: self.age(*item), reverse=True)

    def _at(self, head: Concept) -> dict[str, Any]:
        return {"key": place_of(self._user, head.key), "symmetric": self._symmetric}

    def _asked(self, triples: Iterable[Triple]) -> list[dict[str, Any]]:
        return asked_rows((self.canonical(triple) for triple in triples), self._symmetric)


def require_ready(record: neo4j.Record) -> None:
    """Raise BaseLoading if the record says that a base is being loaded."""
    if record["state"] == cypher.LOADING:
        raise BaseLoading


def _revision(record: neo4j.Record, at_revision: int | None) -> int:
    """The revision to read. Raises UnknownRevision and DataLoss."""
    return revision_to_read(at_revision, standing_of(record).revision)


def _newest_first(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda row: str(row["age"]), reverse=True)
