"""GraphStore on Neo4j: base and overlays in one graph that people can look at in Neo4j Browser.

A read is one managed transaction. One of more than one statement is done again if the user's
overlay moved under it (server.stores.neo4j.reading). A commit is one statement, which write-locks
the user first, only then compares, and commits by itself; commits that wait for each other go
together (server.stores.neo4j.together).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, LiteralString, TypeVar

import neo4j

from server.errors import DataLoss, StoreBusy, UnknownEdit
from server.graph.concept import Concept
from server.graph.edit import Edit, Overlay, UnreadableEdit
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Triple
from server.stores.neo4j import cypher
from server.stores.neo4j.blanks import Blanks, advice_on_logs, freed_by, log_settings
from server.stores.neo4j.commits import commit_parameters, response_parameters
from server.stores.neo4j.connection import (
    Connection,
    Neo4jLogin,
    StatementRefused,
    Tx,
    done,
    one,
)
from server.stores.neo4j.reading import BasePlace, OwnPlace, Reading, require_ready
from server.stores.neo4j.rows import (
    NEWEST,
    edit_key,
    request_key,
    response_of,
    standing_of,
    touch,
    who,
)
from server.stores.neo4j.schema import PATIENCE_S, prepare_graph
from server.stores.neo4j.together import Commits
from server.stores.rules import cursors, pages
from server.stores.rules.concepts import concept_entries
from server.stores.rules.erasures import erase_digest, oldest_kept_ms
from server.stores.rules.logs import OVERLAY_DIFFERS, checked_log, of_user
from server.stores.rules.records import all_readable, read_revert, readable
from server.stores.rules.revisions import already_answered, refusal
from server.stores.rules.view import assemble_neighborhood, viewed_marks
from server.tuning.deadline import call_deadline
from server.tuning.ports import (
    ConceptEntry,
    Erased,
    Listing,
    OverlayOf,
    Page,
    PersonalFact,
    RequestRecord,
    Snapshot,
    StoreCounts,
    Tombstone,
    Usage,
)

_log = logging.getLogger(__name__)

_AMONG_OWN = (str,)
"""A place behind one of the user's own marks: its age."""
_IN_BASE = (str, int, int)
"""A place among the base's triples at a concept (see `BasePlace`)."""
_AMONG_NAMES = (str,)
"""A user's digest, or an overlay's id."""
_AMONG_EDITS = (int,)
"""A revision."""

_HEALTH_S = 3.0
_PROBE_EVERY_S = 15.0
"""How often a look at the store's health tries to write too."""
_COVERED_S = 15.0
"""How long an erase waits until blanks are over what it erased, if the call has no earlier
deadline."""
_TOMBSTONES = 1_000
"""How many tombstones are put at a time."""
_READS = 20
"""How often a read is done again because the user's overlay moved under it."""

R = TypeVar("R")


class Neo4jStore:
    """A GraphStore in a Neo4j database of its own. Make one with `open`."""

    def __init__(self, connection: Connection, vocabulary: Vocabulary) -> None:
        self._connection = connection
        self._vocabulary = vocabulary
        self._fingerprint = ""
        self._page_key = b""
        self._blanks = Blanks(connection)
        self._commits = Commits(connection)
        self._probed_at = float("-inf")

    @classmethod
    async def open(cls, login: Neo4jLogin, vocabulary: Vocabulary) -> Neo4jStore:
        """Connect, and make or check the schema. Raises StoreUnusable, which says what to do."""
        connection = Connection(login)
        try:
            await connection.require_usable()
            await prepare_graph(connection)
            store = cls(connection, vocabulary)
            record = await connection.read(_stand, PATIENCE_S)
            store._fingerprint = str(record["fingerprint"])
            store._page_key = await connection.write(_shared_page_key, PATIENCE_S)
            if advice := advice_on_logs(await log_settings(connection)):
                _log.warning(advice)
            await store._blanks.cover_earlier()
        except BaseException:
            await connection.close()
            raise
        return store

    @property
    def base_fingerprint(self) -> str:
        return self._fingerprint

    @property
    def page_key(self) -> bytes:
        return self._page_key

    # Where an overlay stands

    async def snapshot(self, user: str) -> Snapshot:
        return await self._latest(user, Reading.stand)

    async def snapshots(self, users: Sequence[str]) -> Mapping[str, Snapshot]:
        async def work(tx: Tx) -> list[neo4j.Record]:
            asked = {"users": [who(user) for user in users]}
            return [row async for row in await tx.run(cypher.WHERE_THEY_STAND, asked)]

        rows = await self._connection.read_latest(work)
        found = {}
        for user, row in zip(users, rows, strict=True):
            with contextlib.suppress(DataLoss):
                found[user] = standing_of(row)
        return found

    async def erasures(self) -> int:
        async def work(tx: Tx) -> int:
            return int((await one(tx, cypher.ALL_ERASURES))["erasures"])

        return await self._connection.read_latest(work)

    # The view

    async def look_up(
        self, user: str, keys: Sequence[str], at_revision: int | None = None
    ) -> Mapping[str, ConceptEntry]:
        async def work(reading: Reading) -> Mapping[str, ConceptEntry]:
            personal = await reading.personal(keys, at_revision)
            return concept_entries(keys, await reading.concepts(keys), personal)

        return await self._read_one_moment(user, work)

    async def neighborhood(
        self, user: str, head: Concept, limit: int, at_revision: int | None = None
    ) -> Neighborhood:
        async def work(reading: Reading) -> Neighborhood:
            revision, marks = await reading.marks_at(head, at_revision)
            slices, in_base = await reading.base_slices(head, limit + len(marks), marks)
            return assemble_neighborhood(head, revision, slices, marks, in_base, limit)

        return await self._read_one_moment(user, work)

    async def page_neighborhood(
        self, user: str, head: Concept, page: Page, at_revision: int
    ) -> Listing[ViewedTriple]:
        start = _start_of(page.cursor)
        wanted = page.size + 1

        async def work(reading: Reading) -> Listing[ViewedTriple]:
            own, past = await reading.own_page(head, start, wanted, at_revision)
            viewed = viewed_marks(own, await reading.in_base(own))
            found: list[tuple[ViewedTriple, cursors.Place]] = [
                (seen, OwnPlace(reading.age(*item)))
                for seen, item in zip(viewed, own.items(), strict=True)
            ]
            end = ""
            if len(found) < wanted:
                base_start = start if isinstance(start, BasePlace) else BasePlace()
                others, following = await reading.base_page(
                    head, base_start, wanted - len(found), past
                )
                found += others
                end = cursors.encoded(following) if following else ""
            return pages.cut(found, page.size, cursors.encoded, end)

        return await self._read_one_moment(user, work)

    async def find(
        self, user: str, triples: Sequence[Triple]
    ) -> Mapping[Triple, tuple[bool, Mark | None]]:
        async def work(reading: Reading) -> Mapping[Triple, tuple[bool, Mark | None]]:
            marks = await reading.marks_on(triples)
            in_base = await reading.in_base(triples)
            return {t: (t in in_base, marks.get(reading.canonical(t))) for t in triples}

        return await self._read_one_moment(user, work)

    async def personal_facts(
        self, user: str, page: Page, at_revision: int
    ) -> Listing[PersonalFact]:
        before = NEWEST
        if page.cursor:
            (before,) = cursors.decoded(page.cursor, _AMONG_OWN)

        async def work(reading: Reading) -> Listing[PersonalFact]:
            found = await reading.facts_page(before, page.size + 1, at_revision)
            return pages.cut(found, page.size, cursors.encoded)

        return await self._read_one_moment(user, work)

    async def overlay(self, user: str) -> Overlay:
        async def work(reading: Reading) -> Overlay:
            marks = await reading.all_marks()
            return Overlay((await reading.stand()).revision, marks)

        return await self._read_one_moment(user, work)

    # The log

    async def edits(
        self, user: str, page: Page, at_revision: int
    ) -> Listing[Edit | UnreadableEdit]:
        upto = at_revision
        if page.cursor:
            (place,) = cursors.decoded(page.cursor, _AMONG_EDITS)
            upto = min(place, at_revision)

        async def work(reading: Reading) -> Listing[Edit | UnreadableEdit]:
            sizes = await reading.sizes_of_edits(upto, page.size + 1, at_revision)
            taken, following = pages.fill(sizes, lambda row: int(row["bytes"]), page)
            edits = await reading.edits(cypher.EDITS_PAGE, revision=upto, count=len(taken))
            more = cursors.encoded((following["revision"],)) if following else ""
            return Listing(tuple(edits), more)

        return await self._read(user, work)

    async def edit(self, user: str, edit_id: str) -> Edit:
        found = await self._edits_with_id(user, edit_id)
        if not found:
            raise UnknownEdit
        return readable(found[0])

    async def _edits_with_id(self, user: str, edit_id: str) -> list[Edit | UnreadableEdit]:
        key = edit_key(user, edit_id)
        return await self._read(user, lambda reading: reading.edits(cypher.EDIT_BY_ID, key=key))

    async def edits_since(
        self, user: str, revision: int, triples: Sequence[Triple]
    ) -> Sequence[Edit]:
        async def work(reading: Reading) -> list[Edit | UnreadableEdit]:
            touches = [touch(reading.canonical(triple)) for triple in triples]
            return await reading.edits(cypher.EDITS_TOUCHING, revision=revision, touches=touches)

        return all_readable(await self._read(user, work))

    async def reverts(self, user: str) -> Sequence[tuple[str, str]]:
        record = await self._read(user, lambda reading: reading.ask(cypher.REVERTS))
        return [read_revert(row["id"], row["reverts"]) for row in record["reverts"]]

    async def history(self, user: str) -> Sequence[Edit | UnreadableEdit]:
        return (await self._whole(user))[0]

    async def _whole(self, user: str) -> tuple[list[Edit | UnreadableEdit], Overlay]:
        """(all of a user's edits, all marks), at one moment."""

        async def work(reading: Reading) -> tuple[list[Edit | UnreadableEdit], Overlay]:
            marks = await reading.all_marks()
            edits = await reading.edits(cypher.EDITS_ALL)
            latest = (await reading.stand()).revision
            return [edit for edit in edits if edit.revision <= latest], Overlay(latest, marks)

        return await self._read_one_moment(user, work)

    async def usage(self, user: str) -> Usage:
        record = await self._read(user, lambda reading: reading.ask(cypher.USAGE))
        return Usage(record["facts"], record["history_bytes"])

    async def response(self, user: str, request_id: str) -> RequestRecord | None:
        key = request_key(user, request_id)
        return response_of(
            await self._read(user, lambda reading: reading.ask(cypher.RESPONSE, request=key))
        )

    # Writing

    async def commit(
        self,
        user: str,
        snapshot: Snapshot,
        edits: Sequence[Edit],
        request: RequestRecord | None,
        overlay_id: str | None = None,
    ) -> None:
        try:
            if edits:
                made = await self._commits.make(
                    user, commit_parameters(user, snapshot, edits, request, overlay_id)
                )
            elif request is not None:
                kept = response_parameters(user, snapshot, request)
                made = await self._connection.write_at_once(
                    cypher.COMMIT_RESPONSE, {"commits": [kept]}, user=user
                )
            else:
                _require_unmoved(snapshot, await self._latest(user, Reading.stand_record))
                return
        except StatementRefused as refused:
            if refused.tried_before and await self._is_committed(user, edits, request):
                return
            _require_unmoved(snapshot, await self._latest(user, Reading.stand_record))
            raise already_answered() from refused
        self._fingerprint = made["fingerprint"]

    async def _is_committed(
        self, user: str, edits: Sequence[Edit], request: RequestRecord | None
    ) -> bool:
        """Whether these edits, or the response of a request without any, are there."""
        if edits:
            return bool(await self._edits_with_id(user, edits[-1].id))
        return request is not None and await self.response(user, request.request_id) == request

    async def erase(self, user: str, request_id: str | None = None) -> Erased:
        try:
            erased = await self._connection.write(
                lambda tx: self._erase(tx, user, request_id), user=user
            )
        except _ErasedBefore as before:
            erased = before.erased
        await self._cover()
        return erased

    async def _erase(self, tx: Tx, user: str, request_id: str | None = None) -> Erased:
        now_ms = time.time_ns() // 1_000_000
        oldest_ms = oldest_kept_ms(now_ms)
        digest = None if request_id is None else erase_digest(user, request_id).hex()
        self._require_ready(await one(tx, cypher.LOCK_USER, **who(user), user=user))
        earlier = {"digest": digest, "oldest_ms": oldest_ms}
        before = await (await tx.run(cypher.ERASED_REQUEST, earlier)).single()
        if before is not None:
            raise _ErasedBefore(Erased(**before["erased"]))
        counts = await one(tx, cypher.COUNT_OF_USER, **who(user))
        erased = Erased(
            edits=counts["edits"],
            added_triples=counts["added"],
            removed_triples=counts["deleted"],
            personal_concepts=counts["personal"],
            stored_responses=counts["responses"],
        )
        await done(tx, cypher.PUT_TOMBSTONE_OF, **who(user), now_ms=now_ms)
        for statement in cypher.ERASE:
            await done(tx, statement, **who(user))
        await done(tx, cypher.DROP_OLD_ERASED_REQUESTS, oldest_ms=oldest_ms)
        if digest is not None:
            kept = {"digest": digest, "now_ms": now_ms, "erased": asdict(erased)}
            await done(tx, cypher.PUT_ERASED_REQUEST, **kept)
        if erased != Erased():
            await done(tx, cypher.ADD_DUE, **asdict(freed_by(counts)))
        return erased

    async def _cover(self) -> None:
        """Wait until blanks are over what was erased, as long as the call may take."""
        left_s = _COVERED_S
        if (deadline := call_deadline.get()) is not None:
            left_s = min(left_s, deadline - time.monotonic() - 0.5)
        try:
            await asyncio.wait_for(self._blanks.cover(), max(left_s, 0.0))
        except TimeoutError as error:
            raise StoreBusy(
                "the user is erased, but traces are still being written over;"
                " repeat with the same request_id"
            ) from error

    # The store itself

    async def health(self) -> None:
        self._require_ready(await self._connection.read(_stand, _HEALTH_S))
        if time.monotonic() - self._probed_at >= _PROBE_EVERY_S:
            await self._connection.try_write(cypher.PROBE, _HEALTH_S)
            self._probed_at = time.monotonic()

    async def overlays(self, page: Page) -> Listing[OverlayOf]:
        rows, more = await self._page(cypher.OVERLAYS_PAGE, page, "owner")
        standings = (Snapshot(row["revision"], row["overlay_id"]) for row in rows)
        users = (row["user"] for row in rows)
        return Listing(tuple(map(OverlayOf, users, standings)), more)

    async def tombstones(self, page: Page) -> Listing[Tombstone]:
        rows, more = await self._page(cypher.TOMBSTONES_PAGE, page, "overlay_id")
        return Listing(tuple(Tombstone(**row) for row in rows), more)

    async def _page(
        self, statement: LiteralString, page: Page, place: str
    ) -> tuple[list[dict[str, Any]], str]:
        """(the rows of a page that are not one user's, the next cursor). `place` orders them."""
        (behind,) = cursors.decoded(page.cursor, _AMONG_NAMES) if page.cursor else ("",)

        async def work(tx: Tx) -> list[dict[str, Any]]:
            found = await tx.run(statement, behind=behind, count=page.size + 1)
            return [dict(record) async for record in found]

        rows = await self._connection.read(work, PATIENCE_S)
        listed = pages.cut([(row, (row[place],)) for row in rows], page.size, cursors.encoded)
        return list(listed.items), listed.next_cursor

    async def bury(self, tombstones: Sequence[Tombstone]) -> int:
        async def put(tx: Tx, some: Sequence[Tombstone]) -> None:
            await done(tx, cypher.PUT_TOMBSTONES, tombstones=[asdict(t) for t in some])

        async def buried(tx: Tx) -> list[tuple[str, bool]]:
            found = await tx.run(cypher.BURIED_USERS)
            return [(record["user"], record["has_overlay"]) async for record in found]

        for start in range(0, len(tombstones), _TOMBSTONES):
            some = tombstones[start : start + _TOMBSTONES]
            await self._connection.write(partial(put, some=some), PATIENCE_S)
        users = await self._connection.read(buried, PATIENCE_S)
        for user, _ in users:
            await self._connection.write(partial(self._erase_buried, user=user), user=user)
        if users:
            await self._blanks.cover()
        return sum(has_overlay for _, has_overlay in users)

    async def _erase_buried(self, tx: Tx, user: str) -> None:
        """Erase a user, unless they have begun a new overlay since they were listed."""
        self._require_ready(await one(tx, cypher.LOCK_USER, **who(user), user=user))
        if (await one(tx, cypher.IS_BURIED, **who(user)))["is_buried"]:
            await self._erase(tx, user)

    async def check(self) -> list[str]:
        async def users(tx: Tx) -> list[tuple[str, int]]:
            return [(r["user"], r["revision"]) async for r in await tx.run(cypher.ALL_USERS)]

        problems = []
        for user, revision in await self._connection.read(users, PATIENCE_S):
            problems += of_user(revision, await self._check_user(user))
        return problems

    async def _check_user(self, user: str) -> Sequence[str]:
        try:
            edits, kept = await self._whole(user)
        except DataLoss as error:
            return [str(error)]
        log = checked_log(edits, kept.revision)
        if log.overlay is None or log.overlay.marks == kept.marks:
            return log.problems
        return [*log.problems, OVERLAY_DIFFERS]

    async def counts(self) -> StoreCounts:
        async def work(tx: Tx) -> StoreCounts:
            return StoreCounts(**await one(tx, cypher.COUNTS))

        return await self._connection.read(work)

    async def close(self) -> None:
        await self._commits.close()
        await self._blanks.close()
        await self._connection.close()

    # Transactions

    async def _read(self, user: str, work: Callable[[Reading], Awaitable[R]]) -> R:
        """What `work` reads in a transaction."""
        return (await self._reading(user, work, self._connection.read))[1]

    async def _latest(self, user: str, work: Callable[[Reading], Awaitable[R]]) -> R:
        """What `work` reads, whichever server wrote last."""
        return (await self._reading(user, work, self._connection.read_latest))[1]

    async def _read_one_moment(self, user: str, work: Callable[[Reading], Awaitable[R]]) -> R:
        """What `work` reads, at a moment in which this user's overlay did not move."""
        for _ in range(_READS):
            reading, result = await self._reading(user, work, self._connection.read)
            if reading.last is not None:
                standing_of(reading.last)
            if reading.is_of_one_moment:
                return result
        raise StoreBusy(
            "this user's overlay is being changed faster than it can be read; try again"
        )

    async def _reading(
        self,
        user: str,
        work: Callable[[Reading], Awaitable[R]],
        read: Callable[..., Awaitable[Any]],
    ) -> tuple[Reading, R]:
        async def in_transaction(tx: Tx) -> tuple[Reading, R]:
            reading = Reading(tx, user, self._vocabulary)
            try:
                return reading, await work(reading)
            finally:
                if reading.last is not None:
                    self._fingerprint = reading.last["fingerprint"]

        found: tuple[Reading, R] = await read(in_transaction, user=user)
        return found

    def _require_ready(self, record: neo4j.Record) -> None:
        """Raise BaseLoading, or note which base there is now."""
        require_ready(record)
        self._fingerprint = record["fingerprint"]


class _ErasedBefore(Exception):
    """An erase with this request id was done. Ends the transaction and leaves nothing of it."""

    def __init__(self, erased: Erased) -> None:
        super().__init__()
        self.erased = erased


async def _stand(tx: Tx) -> neo4j.Record:
    """Where things stand, with no user in view."""
    return await one(tx, cypher.WHERE_IT_STANDS, **who(""))


async def _shared_page_key(tx: Tx) -> bytes:
    """The key of page tokens. The first server over a graph makes it."""
    record = await one(tx, cypher.SHARE_PAGE_KEY, made=secrets.token_hex(32))
    return bytes.fromhex(record["page_key"])


def _start_of(cursor: str) -> OwnPlace | BasePlace:
    """Where a page of a neighborhood starts. Raises UnknownPageToken."""
    if not cursor:
        return OwnPlace()
    place = cursors.decoded(cursor, _AMONG_OWN, _IN_BASE)
    return OwnPlace(*place) if len(place) == len(_AMONG_OWN) else BasePlace(*place)


def _require_unmoved(snapshot: Snapshot, record: neo4j.Record) -> None:
    """Raise what keeps a commit on `snapshot` from being made where things stand."""
    current = standing_of(record)
    if current != snapshot:
        raise refusal(snapshot, current, record["epoch"])
