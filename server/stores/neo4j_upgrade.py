"""Bringing a graph of schema version 1 to version 2: overlays get the digests that indexes hold, and today's keys.

One user's transaction at a time; what was stopped goes on with the users that are left. Marks are keyed anew by their
texts, since what makes two texts one concept has changed too (server.graph.concept); of two marks that became one the
newer stays. An edit that cannot be read keeps its properties as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import neo4j

from server.graph.concept import Concept
from server.graph.edit import Edit
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores import cypher
from server.stores.neo4j_connection import Connection, done
from server.stores.neo4j_rows import (
    Row,
    concept_rows,
    edit_key,
    finding_row,
    mark_row,
    owner_of,
    request_key,
)
from server.stores.records import read_edit
from server.stores.view import all_concepts

_PATIENCE_S = 300.0
_USERS = 500

Tx = neo4j.AsyncManagedTransaction


async def upgrade_overlays(connection: Connection) -> None:
    """Bring all users to version 2, then drop version 1's indexes. The schema of version 2 must be there."""
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
        kept = _newest(user, marks)
        for statement in cypher.FORGET_MARKS_BEFORE:
            await done(tx, statement, user=user)
        await done(
            tx,
            cypher.UPGRADE_USER,
            user=user,
            owner=owner_of(user),
            edits=[_edit_row(user, edit) for edit in edits],
            concepts=concept_rows(user, all_concepts(triple for triple, _, _ in kept)),
            added=[row for _, origin, row in kept if origin is Origin.ADDED],
            deleted=[row for _, origin, row in kept if origin is Origin.REMOVED],
        )

    await connection.write(work, _PATIENCE_S, user=user)


def _newest(user: str, rows: Iterable[Mapping[str, Any]]) -> list[tuple[Triple, Origin, Row]]:
    """Marks with today's keys; of those that are on one triple now, the newest."""
    kept: dict[Triple, tuple[Triple, Origin, Row]] = {}
    for row in sorted(rows, key=lambda r: (r["mark"]["revision"], r["mark"]["position"])):
        stored = row["mark"]
        triple = _canonical(stored)
        origin = Origin.ADDED if row["type"] == cypher.ADDED else Origin.REMOVED
        mark = Mark(origin, Stamp(stored["revision"], stored["position"]))
        kept.pop(triple, None)
        kept[triple] = (triple, origin, {**stored, **mark_row(user, triple, mark)})
    return list(kept.values())


def _canonical(stored: Mapping[str, Any]) -> Triple:
    triple = Triple(Concept.of(stored["subject_text"]), stored["relation"], Concept.of(stored["object_text"]))
    if stored["relation"] in cypher.SYMMETRIC_TYPES:
        return min(triple, triple.mirrored())
    return triple


def _edit_row(user: str, stored: Mapping[str, Any]) -> Row:
    row: Row = {
        "owner": owner_of(user),
        "revision": stored["revision"],
        "key": edit_key(user, str(stored["id"])),
        "undoing": None if stored["reverts"] is None else stored["revision"],
        "request": None if stored["request_id"] is None else request_key(user, str(stored["request_id"])),
        "bytes": len(str(stored["body"]).encode("utf-8", "surrogatepass")),
    }
    edit = read_edit(stored["body"], stored["id"], stored["revision"], 0)
    return row | finding_row(edit) if isinstance(edit, Edit) else row
