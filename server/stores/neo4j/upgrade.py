"""Bringing a graph of schema version 1 to version 2: overlays get the digests that indexes hold,
and today's keys.

One user's transaction at a time; what was stopped goes on with the users that are left. What makes
two texts one concept has changed too: a log in which concepts became one is written as
server.graph.rekeying says, and the overlay made from it. An edit that cannot be read keeps its
properties as they are, and its user's marks are keyed anew by their texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import neo4j

from server.graph.codec import edit_to_json
from server.graph.concept import Concept, legacy_concept
from server.graph.edit import Edit, OverlayBuilder
from server.graph.rekeying import Rekeying
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Connection, done
from server.stores.neo4j.rows import (
    Row,
    concept_rows,
    edit_key,
    finding_row,
    mark_row,
    owner_of,
    request_key,
)
from server.stores.rules.concepts import all_concepts
from server.stores.rules.records import read_edit

_PATIENCE_S = 300.0
_USERS = 500
_RECORDS_OF_A_MARK = 20
"""Property records of a mark and its concepts that are free once they are made anew, with texts in
them."""

Tx = neo4j.AsyncManagedTransaction


async def upgrade_overlays(connection: Connection) -> None:
    """Bring all users to version 2, then drop version 1's indexes. The schema of version 2 must be
    there."""
    while users := await _users_before(connection):
        for user in users:
            await _upgrade(connection, user)
    for statement in cypher.OLD_SCHEMA:
        await connection.run_schema(statement)

    async def claim(tx: Tx) -> None:
        await done(tx, cypher.SET_VERSION, version=cypher.SCHEMA_VERSION)

    await connection.write(claim, _PATIENCE_S)


async def _users_before(connection: Connection) -> list[str]:
    async def work(tx: Tx) -> list[str]:
        return [record["user"] async for record in await tx.run(cypher.USERS_BEFORE, count=_USERS)]

    return await connection.read(work, _PATIENCE_S)


async def _upgrade(connection: Connection, user: str) -> None:
    async def work(tx: Tx) -> None:
        if await (await tx.run(cypher.LOCK_USER_BEFORE, user=user)).single() is None:
            return  # a server that starts at the same time was faster
        marks = [dict(r) async for r in await tx.run(cypher.MARKS_BEFORE, user=user)]
        edits = [dict(r) async for r in await tx.run(cypher.EDITS_BEFORE, user=user)]
        log, kept = _today(user, edits, marks)
        await done(tx, cypher.ADD_DUE, texts=0, records=_RECORDS_OF_A_MARK * len(marks))
        for statement in cypher.FORGET_MARKS_BEFORE:
            await done(tx, statement, user=user)
        await done(
            tx,
            cypher.UPGRADE_USER,
            user=user,
            owner=owner_of(user),
            edits=[_edit_row(user, *edit) for edit in zip(edits, log, strict=True)],
            concepts=concept_rows(user, all_concepts(triple for triple, _, _ in kept)),
            added=[row for _, origin, row in kept if origin is Origin.ADDED],
            deleted=[row for _, origin, row in kept if origin is Origin.REMOVED],
        )

    await connection.write(work, _PATIENCE_S, user=user)


_Kept = list[tuple[Triple, Origin, Row]]


def _today(
    user: str, edits: Sequence[Mapping[str, Any]], marks: Sequence[Mapping[str, Any]]
) -> tuple[list[Edit | None], _Kept]:
    """(the log with today's keys, None for an edit that stays as it is; the marks, as they are or
    as that log makes).

    Where an edit cannot be read, the marks are keyed anew by their texts.
    """
    kept = _newest(user, marks)
    read = [read_edit(e["body"], e["id"], e["revision"], 0, legacy_concept) for e in edits]
    written = [edit for edit in read if isinstance(edit, Edit)]
    if len(written) < len(read):
        return [None] * len(read), kept
    log = list(_rekeyed(written))
    if log == [_as_today(edit) for edit in written] and len(kept) == len(marks):
        return [None] * len(read), kept
    overlay, by_triple = OverlayBuilder(), {triple: row for triple, _, row in kept}
    for edit in log:
        overlay.apply(edit)
    rebuilt = [
        (triple, mark.origin, by_triple.get(triple, {}) | mark_row(user, triple, mark))
        for triple, mark in overlay.overlay().marks.items()
    ]
    return list(log), rebuilt


def _rekeyed(written: Iterable[Edit]) -> Iterator[Edit]:
    rekeying = Rekeying()
    for edit in written:
        yield rekeying.rekeyed(edit, _as_today(edit))


def _as_today(edit: Edit) -> Edit:
    changes = tuple(replace(c, triple=_canonical(c.triple)) for c in edit.changes)
    return replace(edit, changes=changes, relied_on=tuple(_canonical(t) for t in edit.relied_on))


def _newest(user: str, rows: Iterable[Mapping[str, Any]]) -> _Kept:
    """Marks with today's keys; of those that are on one triple now, the newest."""
    kept: dict[Triple, tuple[Triple, Origin, Row]] = {}
    for row in sorted(rows, key=lambda r: (r["mark"]["revision"], r["mark"]["position"])):
        stored = row["mark"]
        head, tail = (Concept(stored[end], stored[f"{end}_text"]) for end in ("subject", "object"))
        triple = _canonical(Triple(head, stored["relation"], tail))
        origin = Origin.ADDED if row["type"] == cypher.ADDED else Origin.REMOVED
        mark = Mark(origin, Stamp(stored["revision"], stored["position"]))
        kept.pop(triple, None)
        kept[triple] = (triple, origin, {**stored, **mark_row(user, triple, mark)})
    return list(kept.values())


def _canonical(stored: Triple) -> Triple:
    """A triple as it is stored now. A concept of which nothing would be left stays as it is."""
    triple = Triple(_concept(stored.head), stored.relation, _concept(stored.tail))
    if stored.relation in cypher.SYMMETRIC_TYPES:
        return min(triple, triple.mirrored())
    return triple


def _concept(stored: Concept) -> Concept:
    concept = Concept.of(stored.text)
    return concept if concept.key else stored


def _edit_row(user: str, stored: Mapping[str, Any], today: Edit | None) -> Row:
    body = str(stored["body"]) if today is None else edit_to_json(today)
    row: Row = {
        "owner": owner_of(user),
        "revision": stored["revision"],
        "key": edit_key(user, str(stored["id"])),
        "undoing": None if stored["reverts"] is None else stored["revision"],
        "request": None
        if stored["request_id"] is None
        else request_key(user, str(stored["request_id"])),
        "bytes": len(body.encode("utf-8", "surrogatepass")),
    }
    if today is not None:
        row["body"] = body
    edit = today or read_edit(stored["body"], stored["id"], stored["revision"], 0)
    return row | finding_row(edit) if isinstance(edit, Edit) else row
