"""Bringing a graph of schema version 1 to version 2.

Overlays get the digests that indexes hold, and today's keys. This is done in one transaction for
each user; what was stopped goes on with the users that are left.

What makes two texts one concept has changed too. A log in which concepts became one is written as
server.graph.rekeying says, and the overlay is made from it. An edit that cannot be read keeps its
properties as they are, and its user's marks get new keys from their texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from server.graph.codec import edit_to_json
from server.graph.concept import Concept, legacy_concept
from server.graph.edit import Edit
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Connection, Tx, done
from server.stores.neo4j.rows import (
    Row,
    edit_key,
    finding_row,
    mark_row,
    overlay_rows,
    owner_of,
    request_key,
)
from server.stores.rules.keys import edit_today, log_today, triple_today
from server.stores.rules.logs import replayed
from server.stores.rules.records import read_edit

_PATIENCE_S = 300.0
_USERS = 500
_RECORDS_OF_A_MARK = 20
"""How many property records with texts are freed when a mark and its concepts are made anew."""


class _Kept(NamedTuple):
    """A mark that stays, with the properties of its overlay edge."""

    triple: Triple
    mark: Mark
    row: Row


async def upgrade_overlays(connection: Connection) -> None:
    """Bring all users to version 2, then drop version 1's indexes.

    The schema of version 2 must be there.
    """
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
            return  # another server, started at the same time, has done it
        marks = [dict(r) async for r in await tx.run(cypher.MARKS_BEFORE, user=user)]
        edits = [dict(r) async for r in await tx.run(cypher.EDITS_BEFORE, user=user)]
        log, kept = _today(user, edits, marks)
        await done(tx, cypher.ADD_DUE, texts=0, records=_RECORDS_OF_A_MARK * len(marks))
        for statement in cypher.FORGET_MARKS_BEFORE:
            await done(tx, statement, user=user)
        await done(
            tx,
            cypher.UPGRADE_USER,
            upgraded={
                "user": user,
                "owner": owner_of(user),
                "edits": [_edit_row(user, *edit) for edit in zip(edits, log, strict=True)],
                **overlay_rows(user, kept),
            },
        )

    await connection.write(work, _PATIENCE_S, user=user)


def _today(
    user: str, edits: Sequence[Mapping[str, Any]], marks: Sequence[Mapping[str, Any]]
) -> tuple[list[Edit | None], list[_Kept]]:
    """(the log with today's keys, where None is an edit that stays as it is; the marks).

    The marks stay too if the log does, or else are those that the new log makes. If an edit cannot
    be read, they get new keys from their texts.
    """
    vocabulary = Vocabulary.built_in()
    kept = _newest(user, marks, vocabulary)
    unchanged: list[Edit | None] = [None] * len(edits)
    read = [read_edit(e["body"], e["id"], e["revision"], 0, legacy_concept) for e in edits]
    written = [edit for edit in read if isinstance(edit, Edit)]
    if len(written) < len(read):
        return unchanged, kept
    log = list(log_today(written, vocabulary))
    each_by_itself = [edit_today(edit, vocabulary) for edit in written]
    if log == each_by_itself and len(kept) == len(marks):
        return unchanged, kept
    by_triple = {k.triple: k.row for k in kept}
    by_revision = {edit.revision: edit for edit in log}
    rebuilt = []
    for triple, mark in replayed(log).marks.items():
        behind = by_revision.get(mark.stamp.revision)
        row = by_triple.get(triple, {}) | mark_row(user, triple, mark, edit=behind)
        rebuilt.append(_Kept(triple, mark, row))
    return list(log), rebuilt


def _newest(user: str, rows: Iterable[Mapping[str, Any]], vocabulary: Vocabulary) -> list[_Kept]:
    """Marks with today's keys. Where several are on one triple now, the newest stays."""
    kept: dict[Triple, _Kept] = {}
    for row in sorted(rows, key=lambda r: (r["mark"]["revision"], r["mark"]["position"])):
        stored = row["mark"]
        head = Concept(stored["subject"], stored["subject_text"])
        tail = Concept(stored["object"], stored["object_text"])
        triple = triple_today(Triple(head, stored["relation"], tail), vocabulary)
        origin = Origin.ADDED if row["type"] == cypher.ADDED else Origin.REMOVED
        mark = Mark(origin, Stamp(stored["revision"], stored["position"]))
        kept.pop(triple, None)
        kept[triple] = _Kept(triple, mark, {**stored, **mark_row(user, triple, mark)})
    return list(kept.values())


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
