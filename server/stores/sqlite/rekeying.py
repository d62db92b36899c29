"""Keys stored before KEYS_VERSION 2 are derived anew, in the overlays' file.

The log of edits keeps texts, not keys; the index of changes and the overlay keep both. Users none
of whose concepts has another key now are not touched. Of the others the log is written as
server.graph.rekeying says, and what is derived from it is derived again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace

from server.errors import DataLoss
from server.graph.codec import edit_to_json
from server.graph.concept import Concept, legacy_concept
from server.graph.edit import Change, Edit, EditKind, OverlayBuilder, UnreadableEdit
from server.graph.rekeying import Rekeying
from server.graph.relation import Vocabulary
from server.graph.triple import Triple, canonical
from server.stores.rules.records import read_edit
from server.stores.sqlite import rows, sql


def rekey(connection: sqlite3.Connection) -> None:
    """Derive the stored keys anew, inside the caller's transaction. A user whose rows are damaged
    is left as is."""
    vocabulary = Vocabulary.built_in()
    for user in _users_with_other_keys(connection):
        try:
            _rekey_user(connection, user, vocabulary)
        except DataLoss:
            continue  # `server check` names what is damaged


def _users_with_other_keys(connection: sqlite3.Connection) -> set[object]:
    users = set()
    for user, *concepts in connection.execute(sql.CONCEPTS_TO_REKEY):
        if user in users or not all(isinstance(value, str) for value in concepts):
            continue
        for key, text in (concepts[:2], concepts[2:]):
            today = _concept(Concept(key, text))
            if (today.key, today.text) != (key, text):
                users.add(user)
    return users


def _rekey_user(connection: sqlite3.Connection, user: object, vocabulary: Vocabulary) -> None:
    touches = connection.execute(sql.CHECKED_TOUCHES, (user,)).fetchall()
    bodies = connection.execute(sql.EDITS_ALL, (user,)).fetchall()
    kept = [
        read_edit(body, edit_id, revision, time_ms, legacy_concept)
        for body, edit_id, revision, time_ms in bodies
    ]
    log = [
        _as_indexed(edit, touches) if isinstance(edit, UnreadableEdit) else edit for edit in kept
    ]
    rekeyed = list(_rekeyed(log, vocabulary))
    connection.execute(sql.DROP_TOUCHES, (user,))
    connection.execute(sql.DROP_MARKS, (user,))
    overlay = OverlayBuilder()
    for stored, edit in zip(kept, rekeyed, strict=True):
        overlay.apply(edit)
        connection.executemany(sql.INSERT_TOUCH, [(user, *row) for row in rows.touches(edit)])
        if isinstance(stored, Edit):
            connection.execute(sql.REWRITE_EDIT, (edit_to_json(edit), user, edit.revision))
    marks = overlay.overlay().marks.items()
    connection.executemany(
        sql.PUT_MARK, [(user, *rows.columns(t), *rows.mark_columns(mark)) for t, mark in marks]
    )


def _rekeyed(log: Sequence[Edit], vocabulary: Vocabulary) -> Iterator[Edit]:
    rekeying = Rekeying()
    for edit in log:
        today = replace(
            edit,
            changes=tuple(replace(c, triple=_today(c.triple, vocabulary)) for c in edit.changes),
            relied_on=tuple(_today(triple, vocabulary) for triple in edit.relied_on),
        )
        yield rekeying.rekeyed(edit, today)


def _today(triple: Triple, vocabulary: Vocabulary) -> Triple:
    return canonical(
        Triple(_concept(triple.head), triple.relation, _concept(triple.tail)), vocabulary
    )


def _concept(stored: Concept) -> Concept:
    """A stored concept as it is now. One of which nothing would be left stays as it is."""
    concept = Concept.of(stored.text)
    return concept if concept.key else stored


def _as_indexed(edit: UnreadableEdit, touches: Sequence[rows.Row]) -> Edit:
    """What the index says that an unreadable edit did and relied on. Raises DataLoss where it
    cannot be read either."""
    changes: list[Change] = []
    relied_on: list[Triple] = []
    for head, relation, tail, revision, head_text, tail_text, changed, *mark in touches:
        if revision != edit.revision:
            continue
        triple, after = rows.changed((head, relation, tail, head_text, tail_text, *mark))
        if changed:
            changes.append(Change(triple, None, after))
        else:
            relied_on.append(triple)
    return Edit(
        edit.id,
        edit.revision,
        EditKind.FACTS,
        edit.time_ms,
        tuple(changes),
        relied_on=tuple(relied_on),
    )
