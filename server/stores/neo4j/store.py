"""GraphStore on Neo4j: base and overlays in one graph, people can look at it in Neo4j Browser.

Every method is one managed transaction. Neo4j isolates by read-committed, so a read of more than
one statement says at its end where things stand once more and is done again when they moved; a
commit write-locks the user first and only then compares.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import neo4j

from server.errors import (
    BaseLoading,
    DataLoss,
    Internal,
    OverlayErased,
    RevisionMoved,
    StoreBusy,
    UnknownEdit,
    UnknownPageToken,
    UnknownRevision,
)
from server.graph.concept import Concept
from server.graph.edit import Change, Edit, Overlay, OverlayBuilder, UnreadableEdit
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Triple, canonical
from server.stores.neo4j import cypher
from server.stores.neo4j.base import PATIENCE_S, prepare_graph
from server.stores.neo4j.blanks import Blanks, advice_on_logs, freed_by, log_settings
from server.stores.neo4j.connection import Connection, Neo4jLogin, done, one
from server.stores.neo4j.rows import (
    NEWEST,
    Row,
    age_of,
    asked_rows,
    base_edge,
    concept_of,
    concept_rows,
    edit_key,
    edit_row,
    edits_of,
    facts_of,
    mark_row,
    marks_of,
    owner_of,
    place_of,
    request_key,
    response_of,
    slices_of,
    spellings,
    touch,
    triple_of,
    uri_of,
)
from server.stores.rules.concepts import all_concepts
from server.stores.rules.erasures import erase_digest, erasure_bucket
from server.stores.rules.records import all_readable, readable
from server.stores.rules.view import assemble_neighborhood, seen_from
from server.tuning.deadline import call_deadline
from server.tuning.ports import (
    KEPT_ERASURES_S,
    KEPT_RESPONSES,
    ConceptEntry,
    Erased,
    Listing,
    Page,
    PersonalFact,
    RequestRecord,
    Snapshot,
)

_log = logging.getLogger(__name__)

_OWN, _BASE = "0", "1"
"""The sections of a paged neighborhood, first in a cursor."""
_HEALTH_S = 3.0
_PROBE_EVERY_S = 15.0
"""How often a look at the store's health tries to write too."""
_COVERED_S = 15.0
"""How long an erase waits until blanks are over what it erased, where the call has no earlier
deadline."""
_PIECES = 4
"""How many pieces of the base a page reads at most to get past triples that the user marked."""
_READS = 20
"""How often a read is done again because the user's overlay moved under it."""

Tx = neo4j.AsyncManagedTransaction
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Moment:
    """What a read of several statements saw: where things stood at its first and at its last, and
    marks."""

    first: neo4j.Record
    last: neo4j.Record
    marks: Mapping[Triple, Mark] = field(default_factory=dict)
    revision: int = 0

    @property
    def is_one(self) -> bool:
        return all(
            self.first[name] == self.last[name]
            for name in ("latest", "overlay_id", "epoch", "fingerprint")
        )


class Neo4jStore:
    """A GraphStore in a Neo4j database of its own. Make one with `open`."""

    def __init__(self, connection: Connection, vocabulary: Vocabulary) -> None:
        self._connection = connection
        self._vocabulary = vocabulary
        self._symmetric = sorted(vocabulary.symmetric_names())
        self._fingerprint = ""
        self._blanks = Blanks(connection)
        self._probed_at = float("-inf")

    @classmethod
    async def open(cls, login: Neo4jLogin, vocabulary: Vocabulary) -> Neo4jStore:
        """Connect, and make or check the schema. Raises StoreUnusable with what to do."""
        connection = Connection(login)
        try:
            await connection.require_usable()
            await prepare_graph(connection)
            store = cls(connection, vocabulary)
            store._fingerprint = str(
                (await connection.read(_standing_of(""), PATIENCE_S))["fingerprint"]
            )
            if advice := advice_on_logs(await log_settings(connection)):
                _log.warning(advice)
            await store._blanks.cover_earlier()
        except BaseException:
            await connection.close()
            raise
        return store

    # The port

    @property
    def base_fingerprint(self) -> str:
        return self._fingerprint

    async def snapshot(self, user: str) -> Snapshot:
        return self._snapshot(await self._connection.read(_standing_of(user), user=user))

    async def look_up(
        self, user: str, keys: Sequence[str], at_revision: int | None = None
    ) -> Mapping[str, ConceptEntry]:
        uris = {uri: key for key in reversed(keys) for uri in reversed(spellings(key))}

        async def work(tx: Tx) -> tuple[_Moment, _Personal]:
            first, personal = await self._personal_among(tx, user, list(keys), at_revision)
            last = await one(tx, cypher.CONCEPTS, **_who(user), uris=list(uris))
            return _Moment(first, last), personal

        moment, personal = await self._stable_with(user, work)
        rows = {row["uri"]: row for row in moment.last["concepts"]}
        found = {uris[uri]: rows[uri] for uri in uris if uri in rows}
        return {
            key: _entry(key, found.get(key), personal)
            for key in dict.fromkeys(keys)
            if key in found or key in personal.heads or key in personal.tails
        }

    async def _personal_among(
        self, tx: Tx, user: str, keys: Sequence[str], at_revision: int | None
    ) -> tuple[neo4j.Record, _Personal]:
        """(where things stand, those of `keys` that the user's overlay adds)."""
        places = [place_of(user, key) for key in keys]
        first = await one(tx, cypher.PERSONAL_AMONG, **_who(user), keys=places)
        revision = self._revision(first, at_revision)
        if revision != first["latest"]:
            marks = await self._marks_then(tx, user, revision, [uri_of(key) for key in keys])
            return first, _personal_of(marks, set(keys))
        by_uri = {uri_of(key): key for key in keys}
        heads = {
            by_uri[row["uri"]]: (row["text"], row["triples"])
            for row in first["heads"]
            if row["uri"] in by_uri
        }
        tails = {by_uri[row["uri"]]: row["text"] for row in first["tails"] if row["uri"] in by_uri}
        return first, _Personal(heads, tails)

    async def neighborhood(
        self, user: str, head: Concept, limit: int, at_revision: int | None = None
    ) -> Neighborhood:
        async def work(tx: Tx) -> _Moment:
            first, revision, marks = await self._marks_at(tx, user, head, at_revision)
            last = await one(
                tx,
                cypher.BASE_SLICES,
                **_who(user),
                uris=spellings(head.key),
                limit=limit + len(marks),
                triples=self._asked(marks),
            )
            return _Moment(first, last, marks, revision)

        moment = await self._stable(user, work)
        marks, record = moment.marks, moment.last
        slices = slices_of(head, record["slices"], limit + len(marks))
        return assemble_neighborhood(
            head, moment.revision, slices, marks, _chosen(marks, record["in_base"]), limit
        )

    async def page_neighborhood(
        self, user: str, head: Concept, page: Page, at_revision: int
    ) -> Listing[ViewedTriple]:
        place = _Place.of(page.cursor)

        async def work(tx: Tx) -> tuple[_Moment, Listing[ViewedTriple]]:
            first, own, all_marks = await self._own_page(
                tx, user, head, place, page.size + 1, at_revision
            )
            listed: list[tuple[ViewedTriple, str]] = []
            last = await one(tx, cypher.IN_BASE, **_who(user), triples=self._asked(own))
            in_base = _chosen(own, last["in_base"])
            for triple, mark in own.items():
                viewed = ViewedTriple(
                    triple, mark.origin, in_base=triple in in_base, stamp=mark.stamp
                )
                listed.append((viewed, f"{_OWN}.{self._age(user, triple, mark)}"))
            end = ""
            if len(listed) <= page.size:
                start = place if place.section == _BASE else _Place(_BASE)
                count = page.size + 1 - len(listed)
                last, others, end = await self._base_page(tx, user, head, start, count, all_marks)
                listed += others
            cursor = listed[page.size - 1][1] if len(listed) > page.size else end
            return _Moment(first, last), Listing(
                tuple(viewed for viewed, _ in listed[: page.size]), cursor
            )

        return (await self._stable_with(user, work))[1]

    async def _own_page(
        self, tx: Tx, user: str, head: Concept, place: _Place, count: int, at_revision: int
    ) -> tuple[neo4j.Record, dict[Triple, Mark], Mapping[Triple, Mark] | None]:
        """(where things stand, the next `count` own triples at `head`, all of them where the past
        had to be made)."""
        first = await one(tx, cypher.WHERE_IT_STANDS, **_who(user))
        revision = self._revision(first, at_revision)
        if revision != first["latest"]:
            marks = await self._marks_then(tx, user, revision, [uri_of(head.key)])
            every = seen_from(marks, head, self._vocabulary)
            own = {t: m for t, m in self._by_age(user, every) if self._age(user, t, m) < place.age}
            return first, dict(list(own.items())[:count]) if place.section == _OWN else {}, every
        if place.section == _BASE:
            return first, {}, None
        first = await one(
            tx, cypher.MARKS_AT_PAGE, **self._at(user, head), before=place.age, count=count
        )
        self._revision(first, at_revision)
        newest = sorted(first["marks"], key=lambda row: row["age"], reverse=True)[:count]
        return first, seen_from(marks_of(newest), head, self._vocabulary), None

    async def _base_page(
        self,
        tx: Tx,
        user: str,
        head: Concept,
        place: _Place,
        count: int,
        marks: Mapping[Triple, Mark] | None,
    ) -> tuple[neo4j.Record, list[tuple[ViewedTriple, str]], str]:
        """(where things stand, up to `count` unmarked triples of the base from `place` on, the
        cursor behind them).

        What the user marked is passed over; where that is much, fewer come, and the cursor leads
        on.
        """
        listed: list[tuple[ViewedTriple, str]] = []
        for _ in range(_PIECES):
            asked = count - len(listed)
            parameters = {
                "relation": place.relation,
                "side": place.side,
                "rank": place.rank,
                "count": asked,
            }
            last = await one(
                tx, cypher.BASE_PAGE, **_who(user), uris=spellings(head.key), **parameters
            )
            edges = [
                (base_edge(head, row["relation"], row), _Place.behind(row)) for row in last["edges"]
            ]
            marked = marks
            if marked is None:
                last = await one(
                    tx,
                    cypher.MARKS_ON,
                    **_who(user),
                    marked=self._keys(user, (e.triple for e, _ in edges)),
                )
                marked = seen_from(marks_of(last["marks"]), head, self._vocabulary)
            listed += [
                (edge.viewed(), str(behind)) for edge, behind in edges if edge.triple not in marked
            ]
            if len(edges) < asked:
                return last, listed, ""
            place = edges[-1][1]
            if len(listed) >= count:
                break
        return last, listed, str(place)

    async def find(
        self, user: str, triples: Sequence[Triple]
    ) -> Mapping[Triple, tuple[bool, Mark | None]]:
        keys, asked = self._keys(user, triples), self._asked(triples)

        async def work(tx: Tx) -> _Moment:
            first = await one(tx, cypher.MARKS_ON, **_who(user), marked=keys)
            return _Moment(first, await one(tx, cypher.IN_BASE, **_who(user), triples=asked))

        moment = await self._stable(user, work)
        marks = marks_of(moment.first["marks"])
        in_base = _chosen(triples, moment.last["in_base"])
        return {t: (t in in_base, marks.get(canonical(t, self._vocabulary))) for t in triples}

    async def personal_facts(
        self, user: str, page: Page, at_revision: int
    ) -> Listing[PersonalFact]:
        before = page.cursor or NEWEST

        async def work(tx: Tx) -> tuple[_Moment, list[tuple[str, PersonalFact]]]:
            first = await one(
                tx, cypher.FACTS_PAGE, **_who(user), before=before, count=page.size + 1
            )
            if self._revision(first, at_revision) != first["latest"]:
                past = await self._facts_then(tx, user, at_revision)
                last = await one(tx, cypher.WHERE_IT_STANDS, **_who(user))
                return _Moment(first, last), [(age, fact) for age, fact in past if age < before]
            last = await one(tx, cypher.WHERE_IT_STANDS, **_who(user))
            newest = sorted(first["marks"], key=lambda row: row["age"], reverse=True)
            return _Moment(first, last), list(
                zip([row["age"] for row in newest], facts_of(newest), strict=True)
            )

        _, facts = await self._stable_with(user, work)
        more = facts[page.size - 1][0] if len(facts) > page.size else ""
        return Listing(tuple(fact for _, fact in facts[: page.size]), more)

    async def _facts_then(self, tx: Tx, user: str, revision: int) -> list[tuple[str, PersonalFact]]:
        """(age, fact) of all facts at a revision that is not the latest, newest first."""
        edits = all_readable(
            await self._edits(tx, cypher.EDITS_UP_TO, user, revision=revision, uris=None)
        )
        behind = {e.revision: (e.id, e.time_ms) for e in edits}
        return [
            (self._age(user, t, m), PersonalFact(t, m, *behind.get(m.stamp.revision, ("", 0))))
            for t, m in self._by_age(user, _replayed(edits))
        ]

    async def edits(
        self, user: str, page: Page, at_revision: int
    ) -> Listing[Edit | UnreadableEdit]:
        upto = _number(page.cursor, at_revision)

        async def work(tx: Tx) -> tuple[list[Edit | UnreadableEdit], str]:
            sizes = await one(
                tx, cypher.SIZES_OF_EDITS, **_who(user), revision=upto, count=page.size + 1
            )
            self._revision(sizes, at_revision)
            count = _fitting(sizes["sizes"], page)
            more = str(sizes["sizes"][count]["revision"]) if count < len(sizes["sizes"]) else ""
            return await self._edits(tx, cypher.EDITS_PAGE, user, revision=upto, count=count), more

        edits, more = await self._connection.read(work, user=user)
        return Listing(tuple(edits), more)

    async def edit(self, user: str, edit_id: str) -> Edit:
        found = await self._read_edits(cypher.EDIT_BY_ID, user, key=edit_key(user, edit_id))
        if not found:
            raise UnknownEdit
        return readable(found[0])

    async def edits_since(
        self, user: str, revision: int, triples: Sequence[Triple]
    ) -> Sequence[Edit]:
        touches = [touch(canonical(t, self._vocabulary)) for t in triples]
        return all_readable(
            await self._read_edits(cypher.EDITS_TOUCHING, user, revision=revision, touches=touches)
        )

    async def reverts(self, user: str) -> Sequence[tuple[str, str]]:
        async def work(tx: Tx) -> neo4j.Record:
            return await one(tx, cypher.REVERTS, **_who(user))

        record = await self._connection.read(work, user=user)
        self._require_ready(record)
        return [(row["id"], row["reverts"]) for row in record["reverts"]]

    async def history(self, user: str) -> Sequence[Edit | UnreadableEdit]:
        return (await self._whole(user))[0]

    async def overlay(self, user: str) -> Overlay:
        async def work(tx: Tx) -> _Moment:
            first = await one(tx, cypher.ALL_MARKS, **_who(user))
            return _Moment(first, await one(tx, cypher.WHERE_IT_STANDS, **_who(user)))

        moment = await self._stable(user, work)
        return Overlay(moment.last["latest"], marks_of(moment.first["marks"]))

    async def response(self, user: str, request_id: str) -> RequestRecord | None:
        async def work(tx: Tx) -> neo4j.Record:
            return await one(
                tx, cypher.RESPONSE, **_who(user), request=request_key(user, request_id)
            )

        record = await self._connection.read(work, user=user)
        self._require_ready(record)
        return response_of(record)

    async def commit(
        self, user: str, snapshot: Snapshot, edits: Sequence[Edit], request: RequestRecord | None
    ) -> None:
        statement = cypher.COMMIT if edits else cypher.COMMIT_RESPONSE
        if not edits and request is None:
            _refuse_moved(snapshot, await self._connection.read(_standing_of(user), user=user))
            return
        parameters = {
            **_who(user),
            "user": user,
            "request": None if request is None else request_key(user, request.request_id),
            "computed_revision": snapshot.revision,
            "computed_overlay_id": snapshot.overlay_id,
            **(
                self._edit_parameters(user, snapshot, edits, request)
                if edits
                else _response_parameters(request)
            ),
        }
        attempts = 0

        async def work(tx: Tx) -> None:
            nonlocal attempts
            attempts += 1
            made = await (await tx.run(statement, parameters)).single()
            if made is not None:
                self._fingerprint = made["fingerprint"]
                return
            # An earlier attempt, whose outcome got lost with the connection, may have done it.
            if attempts > 1 and await self._is_committed(tx, user, edits, request):
                return
            record = await one(tx, cypher.LOCK_USER, **_who(user), user=user)
            self._require_ready(record)
            _refuse_moved(snapshot, record)
            raise StoreBusy(
                "a request with this request_id was answered meanwhile; repeat it to get that response"
            )

        await self._connection.write(work, user=user)

    async def _is_committed(
        self, tx: Tx, user: str, edits: Sequence[Edit], request: RequestRecord | None
    ) -> bool:
        """Whether these edits, or the response of a request without any, are there."""
        if edits:
            return bool(
                await self._edits(tx, cypher.EDIT_BY_ID, user, key=edit_key(user, edits[-1].id))
            )
        assert request is not None
        kept = await one(
            tx, cypher.RESPONSE, **_who(user), request=request_key(user, request.request_id)
        )
        return response_of(kept) == request

    async def erase(self, user: str, request_id: str | None = None) -> Erased:
        try:
            erased = await self._connection.write(
                lambda tx: self._erase(tx, user, request_id), user=user
            )
        except _ErasedBefore as before:
            erased = before.erased
        await self._cover()
        return erased

    async def _erase(self, tx: Tx, user: str, request_id: str | None) -> Erased:
        now_ms = time.time_ns() // 1_000_000
        request = {
            "digest": None if request_id is None else erase_digest(user, request_id).hex(),
            "oldest_ms": now_ms - KEPT_ERASURES_S * 1000,
        }
        self._require_ready(await one(tx, cypher.LOCK_USER, **_who(user), user=user))
        before = await (await tx.run(cypher.ERASED_REQUEST, request)).single()
        if before is not None:
            raise _ErasedBefore(Erased(**before["erased"]))
        counts = await one(tx, cypher.COUNT_OF_USER, **_who(user))
        erased = Erased(
            counts["edits"],
            counts["added"],
            counts["deleted"],
            counts["personal"],
            counts["responses"],
        )
        for statement in cypher.ERASE:
            await done(tx, statement, **_who(user))
        await done(tx, cypher.DROP_OLD_ERASED_REQUESTS, oldest_ms=request["oldest_ms"])
        if request_id is not None:
            await done(
                tx,
                cypher.PUT_ERASED_REQUEST,
                digest=request["digest"],
                now_ms=now_ms,
                erased=asdict(erased),
            )
        if erased != Erased():
            await done(tx, cypher.ADD_DUE, **asdict(freed_by(counts)))
        return erased

    async def _cover(self) -> None:
        """Wait until blanks are over what was erased, as long as the call may take."""
        deadline = call_deadline.get()
        left_s = (
            _COVERED_S if deadline is None else min(_COVERED_S, deadline - time.monotonic() - 0.5)
        )
        try:
            await asyncio.wait_for(self._blanks.cover(), max(left_s, 0.0))
        except TimeoutError as error:
            raise StoreBusy(
                "the user is erased, but traces are still being written over; repeat with the same request_id"
            ) from error

    async def health(self) -> None:
        self._require_ready(await self._connection.read(_standing_of(""), _HEALTH_S))
        if time.monotonic() - self._probed_at >= _PROBE_EVERY_S:
            await self._connection.try_write(cypher.PROBE, _HEALTH_S)
            self._probed_at = time.monotonic()

    async def close(self) -> None:
        await self._blanks.close()
        await self._connection.close()

    # Beyond the port

    async def check(self) -> list[str]:
        """Rebuild every user's overlay from the log of edits and compare; what differs, in words,
        user by user."""

        async def users(tx: Tx) -> list[tuple[str, int]]:
            return [(r["user"], r["revision"]) async for r in await tx.run(cypher.ALL_USERS)]

        problems = []
        for user, revision in await self._connection.read(users, PATIENCE_S):
            problems += [
                f"a user at revision {revision}: {p}" for p in await self._check_user(user)
            ]
        return problems

    async def _check_user(self, user: str) -> list[str]:
        try:
            edits, first = await self._whole(user)
            return _differences(edits, Overlay(first["latest"], marks_of(first["marks"])))
        except DataLoss as error:
            return [str(error)]

    async def _whole(self, user: str) -> tuple[list[Edit | UnreadableEdit], neo4j.Record]:
        """(all edits, the record of all marks), of one moment."""

        async def work(tx: Tx) -> tuple[_Moment, neo4j.Record]:
            first = await one(tx, cypher.ALL_MARKS, **_who(user))
            last = await one(tx, cypher.EDITS_ALL, **_who(user))
            return _Moment(first, await one(tx, cypher.WHERE_IT_STANDS, **_who(user))), last

        moment, log = await self._stable_with(user, work)
        return [
            e for e in edits_of(log["edits"]) if e.revision <= moment.last["latest"]
        ], moment.first

    async def counts(self) -> dict[str, int]:
        """Users and edits, concepts and triples of the base."""

        async def work(tx: Tx) -> dict[str, int]:
            return dict(await one(tx, cypher.COUNTS))

        return await self._connection.read(work)

    # Reading

    async def _stable(self, user: str, work: Callable[[Tx], Awaitable[_Moment]]) -> _Moment:
        """What `work` reads, of a moment in which this user's overlay did not move."""

        async def alone(tx: Tx) -> tuple[_Moment, None]:
            return await work(tx), None

        return (await self._stable_with(user, alone))[0]

    async def _stable_with(
        self, user: str, work: Callable[[Tx], Awaitable[tuple[_Moment, R]]]
    ) -> tuple[_Moment, R]:
        """The same, with something more."""
        for _ in range(_READS):
            moment, result = await self._connection.read(work, user=user)
            self._snapshot(moment.last)
            if moment.is_one:
                return moment, result
        raise StoreBusy(
            "this user's overlay is being changed faster than it can be read; try again"
        )

    def _require_ready(self, record: neo4j.Record) -> None:
        if record["state"] == cypher.LOADING:
            raise BaseLoading
        self._fingerprint = record["fingerprint"]

    def _revision(self, record: neo4j.Record, at_revision: int | None) -> int:
        """The revision to read. Raises UnknownRevision, BaseLoading, DataLoss."""
        self._require_ready(record)
        latest = _standing(record).revision
        if at_revision is not None and not 0 <= at_revision <= latest:
            raise UnknownRevision(at_revision, latest)
        return latest if at_revision is None else at_revision

    def _snapshot(self, record: neo4j.Record) -> Snapshot:
        self._require_ready(record)
        return _standing(record)

    async def _marks_at(
        self, tx: Tx, user: str, head: Concept, at_revision: int | None
    ) -> tuple[neo4j.Record, int, dict[Triple, Mark]]:
        """(where things stand, the revision read, the marks on triples that start at `head`)."""
        first = await one(tx, cypher.MARKS_AT, **self._at(user, head), before=NEWEST)
        revision = self._revision(first, at_revision)
        if revision == first["latest"]:
            marks: Mapping[Triple, Mark] = marks_of(first["marks"])
        else:
            marks = await self._marks_then(tx, user, revision, [uri_of(head.key)])
        return first, revision, seen_from(marks, head, self._vocabulary)

    async def _marks_then(
        self, tx: Tx, user: str, revision: int, uris: Sequence[str]
    ) -> Mapping[Triple, Mark]:
        """The marks around `uris` at a revision that is not the latest. Raises UnreadableRecord."""
        edits = await self._edits(tx, cypher.EDITS_UP_TO, user, revision=revision, uris=uris)
        return _replayed(all_readable(edits))

    async def _edits(
        self, tx: Tx, statement: str, user: str, **parameters: Any
    ) -> list[Edit | UnreadableEdit]:
        record = await one(tx, statement, **_who(user), **parameters)
        self._require_ready(record)
        return edits_of(record["edits"])

    async def _read_edits(
        self, statement: str, user: str, **parameters: Any
    ) -> list[Edit | UnreadableEdit]:
        async def work(tx: Tx) -> list[Edit | UnreadableEdit]:
            return await self._edits(tx, statement, user, **parameters)

        return await self._connection.read(work, user=user)

    def _at(self, user: str, head: Concept) -> dict[str, Any]:
        return {**_who(user), "key": place_of(user, head.key), "symmetric": self._symmetric}

    def _age(self, user: str, triple: Triple, mark: Mark) -> str:
        return age_of(user, canonical(triple, self._vocabulary), mark.stamp)

    def _by_age(self, user: str, marks: Mapping[Triple, Mark]) -> list[tuple[Triple, Mark]]:
        return sorted(marks.items(), key=lambda item: self._age(user, *item), reverse=True)

    def _keys(self, user: str, triples: Iterable[Triple]) -> list[str]:
        return [triple_of(user, canonical(t, self._vocabulary)) for t in triples]

    def _asked(self, triples: Iterable[Triple]) -> list[Row]:
        return asked_rows((canonical(t, self._vocabulary) for t in triples), self._symmetric)

    # Writing

    def _edit_parameters(
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
        return {
            "new_overlay_id": secrets.token_hex(16),
            "revision": edits[-1].revision,
            "edits": [edit_row(user, e, request if e is edits[-1] else None) for e in edits],
            # In the order of their keys, so that all transactions lock in one order.
            "changed": [triple_of(user, t) for t in sorted(set(last))],
            "concepts": concept_rows(user, all_concepts(t for t, _, _ in marks)),
            "added": [mark_row(user, t, m, c) for t, m, c in marks if m.origin is Origin.ADDED],
            "deleted": [mark_row(user, t, m, c) for t, m, c in marks if m.origin is Origin.REMOVED],
            "left": sorted({place_of(user, c.key) for c in all_concepts(last)}),
        }


class _ErasedBefore(Exception):
    """An erase with this request id was done; ends the transaction without a trace of it."""

    def __init__(self, erased: Erased) -> None:
        super().__init__()
        self.erased = erased


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page of a neighborhood starts: behind an age of the user's own triples, or at a place
    of the base's."""

    section: str = _OWN
    age: str = NEWEST
    relation: str = ""
    side: int = 0
    rank: int = 0

    @classmethod
    def of(cls, cursor: str) -> _Place:
        section, _, rest = cursor.partition(".")
        if not cursor:
            return cls()
        if section == _OWN:
            return cls(_OWN, rest)
        side, rank, relation = [*rest.split(".", 2), "", ""][:3]
        return cls(_BASE, "", relation, _number(side, 1), _number(rank, 1 << 53))

    @classmethod
    def behind(cls, row: Mapping[str, Any]) -> _Place:
        return cls(_BASE, "", row["relation"], row["side"], row["rank"] + 1)

    def __str__(self) -> str:
        return f"{_BASE}.{self.side}.{self.rank}.{self.relation}"


@dataclass(frozen=True, slots=True)
class _Personal:
    """Concepts that an overlay adds: of heads the text and how many triples start there, of tails
    the text."""

    heads: Mapping[str, tuple[str, int]]
    tails: Mapping[str, str]


def _number(text: str, most: int) -> int:
    """A number of a cursor, `most` where there is none. Raises UnknownPageToken."""
    if not text:
        return most
    if not text.isascii() or not text.isdigit() or len(text) > 16:
        raise UnknownPageToken
    return min(int(text), most)


def _fitting(sizes: Sequence[Mapping[str, int]], page: Page) -> int:
    """How many of the edits that are so large a page holds."""
    taken = 0
    for count, size in enumerate(sizes):
        taken += size["bytes"]
        if count and (count == page.size or taken > page.max_bytes):
            return count
    return len(sizes)


def _response_parameters(request: RequestRecord | None) -> dict[str, Any]:
    """What COMMIT_RESPONSE takes."""
    return {"kept": None if request is None else asdict(request), "most": KEPT_RESPONSES}


def _who(user: str) -> dict[str, Any]:
    return {"owner": owner_of(user), "bucket": erasure_bucket(user)}


def _standing_of(user: str) -> Callable[[Tx], Awaitable[neo4j.Record]]:
    async def work(tx: Tx) -> neo4j.Record:
        return await one(tx, cypher.WHERE_IT_STANDS, **_who(user))

    return work


def _standing(record: neo4j.Record) -> Snapshot:
    """Where a user stands: one without any edit at an overlay id that is new after each erase.
    Raises DataLoss."""
    latest, overlay_id = record["latest"], record["overlay_id"]
    if overlay_id is None:
        return Snapshot(0, _unnamed_id(record))
    if not isinstance(latest, int) or not isinstance(overlay_id, str):
        raise DataLoss(
            "the record of a user was damaged; stop the server and run `python -m server check`"
        )
    return Snapshot(latest, overlay_id)


def _unnamed_id(record: neo4j.Record) -> str:
    return f"{cypher.UNNAMED}{record['epoch']}"


def _refuse_moved(snapshot: Snapshot, record: neo4j.Record) -> None:
    """Raise what keeps a commit on `snapshot` from being made where things stand so."""
    current = _standing(record)
    if current == snapshot:
        return
    if current.overlay_id != snapshot.overlay_id and snapshot.overlay_id != _unnamed_id(record):
        raise OverlayErased
    raise RevisionMoved(snapshot.revision, current.revision)


def _replayed(edits: Iterable[Edit]) -> Mapping[Triple, Mark]:
    """The marks that these edits leave."""
    overlay = OverlayBuilder()
    for edit in edits:
        overlay.apply(edit)
    return overlay.overlay().marks


def _chosen(triples: Iterable[Triple], positions: Sequence[int]) -> set[Triple]:
    every = list(triples)
    return {every[at] for at in positions}


def _personal_of(marks: Mapping[Triple, Mark], keys: set[str]) -> _Personal:
    """Those of `keys` that `marks` add."""
    heads: dict[str, tuple[str, int]] = {}
    tails: dict[str, str] = {}
    for triple, mark in marks.items():
        if mark.origin is Origin.ADDED:
            if triple.head.key in keys:
                heads[triple.head.key] = (
                    triple.head.text,
                    heads.get(triple.head.key, ("", 0))[1] + 1,
                )
            if triple.tail.key in keys:
                tails[triple.tail.key] = triple.tail.text
    return _Personal(heads, tails)


def _entry(key: str, row: Mapping[str, Any] | None, personal: _Personal) -> ConceptEntry:
    own_text, own_count = personal.heads.get(key, (personal.tails.get(key, ""), 0))
    if row is None:
        return ConceptEntry(Concept(key, own_text), False, 0, own_count)
    forms = tuple(concept_of(form["uri"], form["text"]).key for form in row["forms"])
    return ConceptEntry(
        Concept(key, row["text"] or own_text), True, row["retrievable"], own_count, forms
    )


def _differences(edits: Sequence[Edit | UnreadableEdit], overlay: Overlay) -> list[str]:
    """What is wrong with a user's log and overlay. With a record that cannot be read, the overlay
    cannot be rebuilt."""
    problems, at = [], 0
    for edit in edits:
        if edit.revision != at + 1:
            problems.append(f"the log goes from revision {at} to {edit.revision}")
        at = edit.revision
        if isinstance(edit, UnreadableEdit):
            problems.append(
                f"the record of edit {edit.id} (revision {edit.revision}) cannot be read"
            )
    if at != overlay.revision:
        problems.append(f"the log ends at revision {at}")
    whole = [edit for edit in edits if isinstance(edit, Edit)]
    return problems if len(whole) < len(edits) else problems + _rebuilt_differently(whole, overlay)


def _rebuilt_differently(edits: Sequence[Edit], overlay: Overlay) -> list[str]:
    problems, rebuilt = [], OverlayBuilder()
    for edit in edits:
        if not rebuilt.fits(edit):
            problems.append(f"revision {edit.revision} does not start from the overlay before it")
        rebuilt.apply(edit)
    if rebuilt.overlay().marks != dict(overlay.marks):
        problems.append("the overlay is not what the log makes")
    return problems
