"""GraphStore on Neo4j: base and overlays in one graph, people can look at it in Neo4j Browser.

Every method is one managed transaction. Neo4j isolates by read-committed, so a read of more than one statement says at
its end where things stand once more and is done again when they moved; a commit write-locks the user first and only then
compares.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import neo4j

from server.errors import BaseLoading, Internal, OverlayErased, RevisionMoved, StoreBusy, UnknownEdit, UnknownRevision
from server.graph.codec import edit_from_json
from server.graph.concept import Concept
from server.graph.edit import Change, Edit, Overlay
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Triple, canonical
from server.stores import cypher
from server.stores.neo4j_base import PATIENCE_S, prepare_graph
from server.stores.neo4j_connection import Connection, Neo4jLogin, done, one
from server.stores.neo4j_rows import (
    base_edge,
    edit_row,
    edits_behind,
    mark_row,
    marks_of,
    slices_of,
    sorted_rows,
    touch,
    triple_row,
    uri_of,
)
from server.stores.view import all_concepts, assemble_neighborhood, erasure_bucket, newest_first, seen_from
from server.tuning.ports import ConceptEntry, Erased, Listing, Page, PersonalFact, RequestRecord, Snapshot

_OWN, _BASE = "0", "1"
"""The sections of a paged neighborhood, first in a cursor."""
_HEALTH_S = 3.0
_READS = 20
"""How often a read is done again because the user's overlay moved under it."""

Tx = neo4j.AsyncManagedTransaction
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Moment:
    """What a read of several statements saw: where things stood at its first and at its last, and marks."""

    first: neo4j.Record
    last: neo4j.Record
    marks: Mapping[Triple, Mark] = field(default_factory=dict)
    revision: int = 0

    @property
    def is_one(self) -> bool:
        return all(self.first[name] == self.last[name] for name in ("latest", "overlay_id", "epoch", "fingerprint"))


class Neo4jStore:
    """A GraphStore in a Neo4j database of its own. Make one with `open`."""

    def __init__(self, connection: Connection, vocabulary: Vocabulary) -> None:
        self._connection = connection
        self._vocabulary = vocabulary
        self._symmetric = sorted(vocabulary.symmetric_names())
        self._fingerprint = ""

    @classmethod
    async def open(cls, login: Neo4jLogin, vocabulary: Vocabulary) -> Neo4jStore:
        """Connect, and make or check the schema. Raises StoreUnusable with what to do."""
        connection = Connection(login)
        try:
            await connection.require_usable()
            await prepare_graph(connection)
            store = cls(connection, vocabulary)
            store._fingerprint = str((await connection.read(_standing_of(""), PATIENCE_S))["fingerprint"])
        except BaseException:
            await connection.close()
            raise
        return store

    # The port

    @property
    def base_fingerprint(self) -> str:
        return self._fingerprint

    async def snapshot(self, user: str) -> Snapshot:
        return self._snapshot(user, await self._connection.read(_standing_of(user)))

    async def look_up(
        self, user: str, keys: Sequence[str], at_revision: int | None = None
    ) -> Mapping[str, ConceptEntry]:
        uris = {uri_of(key): key for key in keys}

        async def work(tx: Tx) -> _Moment:
            first, _, marks = await self._marks(tx, user, at_revision, cypher.MARKS_AMONG, list(uris))
            return _Moment(first, await one(tx, cypher.CONCEPTS, **_who(user), uris=list(uris)), marks)

        moment = await self._stable(work)
        marks, record = moment.marks, moment.last
        heads, tails = _personal_concepts(marks, set(keys))
        found = {uris[row["uri"]]: row for row in record["concepts"]}
        return {
            key: _entry(key, found.get(key), heads, tails)
            for key in dict.fromkeys(keys)
            if key in found or key in heads or key in tails
        }

    async def neighborhood(self, user: str, head: Concept, limit: int, at_revision: int | None = None) -> Neighborhood:
        async def work(tx: Tx) -> _Moment:
            first, revision, marks = await self._marks_at(tx, user, head, at_revision)
            last = await one(
                tx,
                cypher.BASE_SLICES,
                **_who(user),
                uri=uri_of(head.key),
                limit=limit + len(marks),
                triples=self._rows(marks),
            )
            return _Moment(first, last, marks, revision)

        moment = await self._stable(work)
        marks, record = moment.marks, moment.last
        slices = slices_of(head, record["slices"], limit + len(marks))
        return assemble_neighborhood(head, moment.revision, slices, marks, _chosen(marks, record["in_base"]), limit)

    async def page_neighborhood(self, user: str, head: Concept, page: Page, at_revision: int) -> Listing[ViewedTriple]:
        section, _, rest = page.cursor.partition(".") if page.cursor else (_OWN, "", "0")
        side, rank, relation = rest.split(".", 2) if section == _BASE else ("0", "0", "")

        async def work(tx: Tx) -> _Moment:
            first, _, marks = await self._marks_at(tx, user, head, at_revision)
            last = await one(
                tx,
                cypher.BASE_PAGE,
                **_who(user),
                uri=uri_of(head.key),
                triples=self._rows(marks),
                relation=relation,
                side=int(side),
                rank=int(rank),
                count=page.size + 1 + len(marks),
            )
            return _Moment(first, last, marks)

        moment = await self._stable(work)
        marks, record = moment.marks, moment.last
        own = newest_first(marks)[int(rest) :] if section == _OWN else []
        start = int(rest) if section == _OWN else 0
        in_base = _chosen(marks, record["in_base"])
        listed = [
            (ViewedTriple(t, m.origin, in_base=t in in_base, stamp=m.stamp), f"{_OWN}.{start + n}")
            for n, (t, m) in enumerate(own, start=1)
        ]
        for row in record["edges"]:
            edge = base_edge(head, row["relation"], row)
            if edge.triple not in marks:
                listed.append((edge.viewed(), f"{_BASE}.{row['side']}.{row['rank'] + 1}.{row['relation']}"))
        items = tuple(viewed for viewed, _ in listed[: page.size])
        return Listing(items, listed[page.size - 1][1] if len(listed) > page.size else "")

    async def find(self, user: str, triples: Sequence[Triple]) -> Mapping[Triple, tuple[bool, Mark | None]]:
        rows = self._rows(triples)

        async def work(tx: Tx) -> _Moment:
            first = await one(tx, cypher.MARKS_ON, **_who(user), triples=rows)
            last = await one(tx, cypher.IN_BASE, **_who(user), triples=rows)
            return _Moment(first, last, marks_of(first["marks"]))

        moment = await self._stable(work)
        in_base = _chosen(triples, moment.last["in_base"])
        return {t: (t in in_base, moment.marks.get(canonical(t, self._vocabulary))) for t in triples}

    async def facts(self, user: str, page: Page, at_revision: int) -> Listing[PersonalFact]:
        async def work(tx: Tx) -> tuple[_Moment, dict[Triple, tuple[str, int]]]:
            first = await one(tx, cypher.ALL_MARKS, **_who(user))
            if self._revision(first, at_revision) == first["latest"]:
                marks, behind = marks_of(first["marks"]), edits_behind(first["marks"])
            else:
                edits = await self._edits(tx, cypher.EDITS_UP_TO, user, revision=at_revision, uris=None)
                marks = _replayed(edits)
                times = {e.revision: (e.id, e.time_ms) for e in edits}
                behind = {t: times.get(m.stamp.revision, ("", 0)) for t, m in marks.items()}
            return _Moment(first, await one(tx, cypher.WHERE_IT_STANDS, **_who(user)), marks), behind

        moment, behind = await self._stable_with(work)
        marks = moment.marks
        start = int(page.cursor or 0)
        chosen = newest_first(marks)[start : start + page.size]
        facts = tuple(PersonalFact(t, m, *behind[t]) for t, m in chosen)
        return Listing(facts, str(start + page.size) if start + page.size < len(marks) else "")

    async def edits(self, user: str, page: Page, at_revision: int) -> Listing[Edit]:
        upto = min(at_revision, int(page.cursor)) if page.cursor else at_revision

        async def work(tx: Tx) -> list[Edit]:
            record = await one(tx, cypher.EDITS_PAGE, **_who(user), revision=upto, count=page.size + 1)
            self._revision(record, at_revision)
            return _bodies(record)

        edits = await self._connection.read(work)
        more = str(edits[page.size].revision) if len(edits) > page.size else ""
        return Listing(tuple(edits[: page.size]), more)

    async def edit(self, user: str, edit_id: str) -> Edit:
        found = await self._read_edits(cypher.EDIT_BY_ID, user, id=edit_id)
        if not found:
            raise UnknownEdit
        return found[0]

    async def edits_since(self, user: str, revision: int, triples: Sequence[Triple]) -> Sequence[Edit]:
        touches = [touch(canonical(t, self._vocabulary)) for t in triples]
        return await self._read_edits(cypher.EDITS_TOUCHING, user, revision=revision, touches=touches)

    async def reverts_of(self, user: str, edit_id: str) -> Sequence[Edit]:
        return await self._read_edits(cypher.REVERTS_OF, user, id=edit_id)

    async def history(self, user: str) -> Sequence[Edit]:
        async def work(tx: Tx) -> tuple[_Moment, list[Edit]]:
            first = await one(tx, cypher.EDITS_ALL, **_who(user))
            return _Moment(first, await one(tx, cypher.WHERE_IT_STANDS, **_who(user))), _bodies(first)

        moment, edits = await self._stable_with(work)
        return [e for e in edits if e.revision <= moment.last["latest"]]

    async def overlay(self, user: str) -> Overlay:
        async def work(tx: Tx) -> _Moment:
            first = await one(tx, cypher.ALL_MARKS, **_who(user))
            return _Moment(first, await one(tx, cypher.WHERE_IT_STANDS, **_who(user)), marks_of(first["marks"]))

        moment = await self._stable(work)
        return Overlay(moment.last["latest"], moment.marks)

    async def response(self, user: str, request_id: str) -> RequestRecord | None:
        async def work(tx: Tx) -> RequestRecord | None:
            record = await one(tx, cypher.RESPONSE, **_who(user), request_id=request_id)
            self._require_ready(record)
            if record["request_id"] is None:
                return None
            return RequestRecord(record["request_id"], record["content_hash"], bytes(record["response"]))

        return await self._connection.read(work)

    async def commit(self, user: str, snapshot: Snapshot, edits: Sequence[Edit], request: RequestRecord | None) -> None:
        new_overlay_id = secrets.token_hex(16)
        parameters = {
            **_who(user),
            "new_overlay_id": new_overlay_id,
            "computed_revision": snapshot.revision,
            "computed_overlay_id": snapshot.overlay_id,
            **self._commit_parameters(user, snapshot, edits, request),
        }
        attempts = 0

        async def work(tx: Tx) -> None:
            nonlocal attempts
            attempts += 1
            made = await (await tx.run(cypher.COMMIT, parameters)).single()
            if made is not None:
                self._fingerprint = made["fingerprint"]
                return
            # An earlier attempt, whose outcome got lost with the connection, may have done it.
            if attempts > 1 and await self._edits(tx, cypher.EDIT_BY_ID, user, id=edits[-1].id):
                return
            record = await one(tx, cypher.LOCK_USER, **_who(user), new_overlay_id=new_overlay_id)
            self._require_ready(record)
            _refuse(snapshot, self._current(record, new_overlay_id), record)

        await self._connection.write(work)

    async def erase(self, user: str) -> Erased:
        async def work(tx: Tx) -> Erased:
            record = await one(tx, cypher.LOCK_USER, **_who(user), new_overlay_id=secrets.token_hex(16))
            self._require_ready(record)
            counts = await one(tx, cypher.COUNT_OF_USER, user=user)
            for statement in cypher.ERASE:
                await done(tx, statement, **_who(user))
            return Erased(counts["edits"], counts["added"], counts["deleted"], counts["personal"], counts["responses"])

        return await self._connection.write(work)

    async def health(self) -> None:
        self._require_ready(await self._connection.read(_standing_of(""), _HEALTH_S))

    async def close(self) -> None:
        await self._connection.close()

    # Beyond the port

    async def check(self) -> list[str]:
        """Rebuild every user's overlay from the log of edits and compare; what differs, in words."""

        async def users(tx: Tx) -> list[tuple[str, int]]:
            return [(r["user"], r["revision"]) async for r in await tx.run(cypher.ALL_USERS)]

        problems = []
        for user, revision in await self._connection.read(users, PATIENCE_S):
            edits, overlay = await self.history(user), await self.overlay(user)
            problems += [f"a user at revision {revision}: {p}" for p in _differences(edits, overlay)]
        return problems

    async def counts(self) -> dict[str, int]:
        """Users and edits, concepts and triples of the base."""

        async def work(tx: Tx) -> dict[str, int]:
            return dict(await one(tx, cypher.COUNTS))

        return await self._connection.read(work)

    # Reading

    async def _stable(self, work: Callable[[Tx], Awaitable[_Moment]]) -> _Moment:
        """What `work` reads, of a moment in which this user's overlay did not move."""

        async def alone(tx: Tx) -> tuple[_Moment, None]:
            return await work(tx), None

        return (await self._stable_with(alone))[0]

    async def _stable_with(self, work: Callable[[Tx], Awaitable[tuple[_Moment, R]]]) -> tuple[_Moment, R]:
        """The same, with something more."""
        for _ in range(_READS):
            moment, result = await self._connection.read(work)
            self._require_ready(moment.last)
            if moment.is_one:
                return moment, result
        raise StoreBusy("this user's overlay is being changed faster than it can be read; try again")

    def _require_ready(self, record: neo4j.Record) -> None:
        if record["state"] == cypher.LOADING:
            raise BaseLoading
        self._fingerprint = record["fingerprint"]

    def _revision(self, record: neo4j.Record, at_revision: int | None) -> int:
        """The revision to read. Raises UnknownRevision, BaseLoading."""
        self._require_ready(record)
        latest = int(record["latest"])
        if at_revision is not None and not 0 <= at_revision <= latest:
            raise UnknownRevision(at_revision, latest)
        return latest if at_revision is None else at_revision

    def _snapshot(self, user: str, record: neo4j.Record) -> Snapshot:
        self._require_ready(record)
        if record["overlay_id"] is None:
            return _unnamed(record)
        return Snapshot(record["latest"], record["overlay_id"])

    def _current(self, record: neo4j.Record, new_overlay_id: str) -> Snapshot:
        """Where a user stands that is locked: as before, when the lock has just made its node."""
        if record["overlay_id"] == new_overlay_id:
            return _unnamed(record)
        return Snapshot(record["latest"], record["overlay_id"])

    async def _marks_at(
        self, tx: Tx, user: str, head: Concept, at_revision: int | None
    ) -> tuple[neo4j.Record, int, dict[Triple, Mark]]:
        """(where things stand, the revision read, the marks on triples that start at `head`)."""
        first, revision, marks = await self._marks(tx, user, at_revision, cypher.MARKS_AT, [uri_of(head.key)])
        return first, revision, seen_from(marks, head, self._vocabulary)

    async def _marks(
        self, tx: Tx, user: str, at_revision: int | None, statement: str, uris: Sequence[str]
    ) -> tuple[neo4j.Record, int, dict[Triple, Mark]]:
        """(where things stand, the revision read, marks around `uris`: those that `statement` finds, or the log's)."""
        first = await one(
            tx, statement, **_who(user), uri=uris[0] if uris else "", uris=uris, symmetric=self._symmetric
        )
        revision = self._revision(first, at_revision)
        if revision == first["latest"]:
            return first, revision, marks_of(first["marks"])
        edits = await self._edits(tx, cypher.EDITS_UP_TO, user, revision=revision, uris=uris)
        return first, revision, _replayed(edits)

    async def _edits(self, tx: Tx, statement: str, user: str, **parameters: Any) -> list[Edit]:
        record = await one(tx, statement, **_who(user), **parameters)
        self._require_ready(record)
        return _bodies(record)

    async def _read_edits(self, statement: str, user: str, **parameters: Any) -> list[Edit]:
        async def work(tx: Tx) -> list[Edit]:
            return await self._edits(tx, statement, user, **parameters)

        return await self._connection.read(work)

    def _rows(self, triples: Iterable[Triple]) -> list[dict[str, Any]]:
        return [triple_row(canonical(t, self._vocabulary)) for t in triples]

    # Writing

    def _commit_parameters(
        self, user: str, snapshot: Snapshot, edits: Sequence[Edit], request: RequestRecord | None
    ) -> dict[str, Any]:
        """What COMMIT takes: the edits, and the marks that they leave together."""
        for number, edit in enumerate(edits, start=1):
            if edit.revision != snapshot.revision + number:
                raise Internal("an edit's revision does not follow the overlay's")
        last: dict[Triple, Change] = {}
        for edit in edits:
            for change in edit.changes:
                last.pop(change.triple, None)  # the newer text of a concept replaces the older one
                last[change.triple] = change
        marks = [(t, c.after, c) for t, c in sorted(last.items()) if c.after is not None]
        concepts = sorted(all_concepts(t for t, _, _ in marks))
        return {
            "user": user,
            "revision": edits[-1].revision,
            "edits": [edit_row(user, e, request if e is edits[-1] else None) for e in edits],
            "changed": sorted_rows(last),
            "concepts": [{"uri": uri_of(c.key), "text": c.text} for c in concepts],
            "added": [mark_row(user, t, m, c) for t, m, c in marks if m.origin is Origin.ADDED],
            "deleted": [mark_row(user, t, m, c) for t, m, c in marks if m.origin is Origin.REMOVED],
            "left": sorted({uri_of(c.key) for c in all_concepts(last)}),
        }


def _who(user: str) -> dict[str, Any]:
    return {"user": user, "bucket": erasure_bucket(user)}


def _standing_of(user: str) -> Callable[[Tx], Awaitable[neo4j.Record]]:
    async def work(tx: Tx) -> neo4j.Record:
        return await one(tx, cypher.WHERE_IT_STANDS, **_who(user))

    return work


def _unnamed(record: neo4j.Record) -> Snapshot:
    """Where a user without any edit stands: with a new overlay id after each erase."""
    return Snapshot(0, f"{cypher.UNNAMED}{record['epoch']}")


def _refuse(snapshot: Snapshot, current: Snapshot, record: neo4j.Record) -> NoReturn:
    """Raise what keeps a commit on `snapshot` from being made on `current`."""
    if current.overlay_id != snapshot.overlay_id and snapshot.overlay_id != _unnamed(record).overlay_id:
        raise OverlayErased
    raise RevisionMoved(snapshot.revision, current.revision)


def _bodies(record: neo4j.Record) -> list[Edit]:
    return [edit_from_json(body) for body in record["bodies"]]


def _replayed(edits: Iterable[Edit]) -> dict[Triple, Mark]:
    """The marks that these edits leave."""
    overlay = Overlay()
    for edit in edits:
        overlay = overlay.with_edit(edit)
    return dict(overlay.marks)


def _chosen(triples: Iterable[Triple], positions: Sequence[int]) -> set[Triple]:
    every = list(triples)
    return {every[at] for at in positions}


def _personal_concepts(
    marks: Mapping[Triple, Mark], keys: set[str]
) -> tuple[dict[str, tuple[str, int]], dict[str, str]]:
    """(head key -> text and how many triples were added there, tail key -> text) among `keys`."""
    heads: dict[str, tuple[str, int]] = {}
    tails: dict[str, str] = {}
    for triple, mark in marks.items():
        if mark.origin is Origin.ADDED:
            if triple.head.key in keys:
                heads[triple.head.key] = (triple.head.text, heads.get(triple.head.key, ("", 0))[1] + 1)
            if triple.tail.key in keys:
                tails[triple.tail.key] = triple.tail.text
    return heads, tails


def _entry(
    key: str, row: Mapping[str, Any] | None, heads: Mapping[str, tuple[str, int]], tails: Mapping[str, str]
) -> ConceptEntry:
    own_text, own_count = heads.get(key, (tails.get(key, ""), 0))
    if row is None:
        return ConceptEntry(Concept(key, own_text), False, 0, own_count)
    forms = tuple(Concept.of(form["text"]).key for form in row["forms"])
    return ConceptEntry(Concept(key, row["text"] or own_text), True, row["retrievable"], own_count, forms)


def _differences(edits: Sequence[Edit], overlay: Overlay) -> list[str]:
    problems, rebuilt = [], Overlay()
    for edit in edits:
        if edit.revision != rebuilt.revision + 1:
            problems.append(f"the log goes from revision {rebuilt.revision} to {edit.revision}")
        if any(rebuilt.marks.get(change.triple) != change.before for change in edit.changes):
            problems.append(f"revision {edit.revision} does not start from the overlay before it")
        rebuilt = rebuilt.with_edit(edit)
    if rebuilt.revision != overlay.revision:
        problems.append(f"the log ends at revision {rebuilt.revision}")
    if dict(rebuilt.marks) != dict(overlay.marks):
        problems.append("the overlay is not what the log makes")
    return problems
