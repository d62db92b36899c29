"""Derives keys that were stored before KEYS_VERSION 2 anew, in the overlays' file.

The log of edits keeps texts, not keys. The index of changes and the overlay keep both. A user is
left alone unless a concept of theirs has another key today. Then the log is written anew, as
server.graph.rekeying says, and so is what is derived from it.
"""

from __future__ import annotations

import sqlite3

from server.errors import DataLoss
from server.graph.codec import edit_to_json
from server.graph.concept import Concept, legacy_concept
from server.graph.edit import Edit, UnreadableEdit
from server.graph.relation import Vocabulary
from server.stores.rules.keys import concept_today, log_today
from server.stores.rules.logs import replayed
from server.stores.rules.records import read_edit
from server.stores.sqlite import rows, sql


def rekey(connection: sqlite3.Connection) -> None:
    """Derive the stored keys anew, inside the caller's transaction.

    A user whose rows are damaged stays as is.
    """
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
            today = concept_today(Concept(key, text))
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
        rows.indexed(edit, touches) if isinstance(edit, UnreadableEdit) else edit for edit in kept
    ]
    rekeyed = list(log_today(log, vocabulary))
    connection.execute(sql.DROP_TOUCHES, (user,))
    connection.execute(sql.DROP_MARKS, (user,))
    for stored, edit in zip(kept, rekeyed, strict=True):
        connection.executemany(sql.INSERT_TOUCH, [(user, *row) for row in rows.touches(edit)])
        if isinstance(stored, Edit):
            connection.execute(sql.REWRITE_EDIT, (edit_to_json(edit), user, edit.revision))
    marks = replayed(rekeyed).marks.items()
    connection.executemany(
        sql.PUT_MARK, [(user, *rows.columns(t), *rows.mark_columns(mark)) for t, mark in marks]
    )
