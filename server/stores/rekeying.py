"""Keys stored before KEYS_VERSION 2 are derived anew, in the overlays' file.

The log of edits keeps texts, not keys; the index of changes and the overlay keep both. Users none of whose concepts has
another key now are not touched. Of the others the log is written as server.graph.rekeying says, and what is derived
from it is derived again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace

from server.errors import DataLoss
from server.graph.codec import edit_to_json
from server.graph.concept import Concept
from server.graph.edit import Change, Edit, EditKind, OverlayBuilder, UnreadableEdit
from server.graph.rekeying import Rekeying
from server.graph.relation import Vocabulary
from server.graph.triple import Triple, canonical
from server.stores import sql
from server.stores import sqlite_rows as rows
from server.stores.records import read_edit


def rekey(connection: sqlite3.Connection) -> None:
    """Derive the stored keys anew, inside the caller's transaction. A user whose rows are damaged is left as is."""
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
        head, head_text, tail, tail_text = concepts
        if _today(head, head_text) != (head, head_text) or _today(tail, tail_text) != (tail, tail_text):
            users.add(user)
    return users


def _today(key: str, text: str) -> tuple[str, str]:
    """Key and text of a stored concept now. One of which nothing would be left keeps what it has."""
    concept = Concept.of(text)
    return (concept.key, concept.text) if concept.key else (key, text)


def _rekey_user(connection: sqlite3.Connection, user: object, vocabulary: Vocabulary) -> None:
    touches = connection.execute(sql.CHECKED_TOUCHES, (user,)).fetchall()
    kept = [read_edit(*row) for row in connection.execute(sql.EDITS_ALL, (user,)).fetchall()]
    log = [_as_indexed(edit, touches) if isinstance(edit, UnreadableEdit) else edit for edit in kept]
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
    connection.executemany(sql.PUT_MARK, [(user, *rows.columns(t), *rows.mark_columns(mark)) for t, mark in marks])


def _rekeyed(log: Sequence[Edit], vocabulary: Vocabulary) -> Iterator[Edit]:
    rekeying = Rekeying()
    for edit in log:
        today = replace(
            edit,
            changes=tuple(replace(c, triple=canonical(c.triple, vocabulary)) for c in edit.changes),
            relied_on=tuple(canonical(triple, vocabulary) for triple in edit.relied_on),
        )
        yield rekeying.rekeyed(edit, today)


def _as_indexed(edit: UnreadableEdit, touches: Sequence[rows.Row]) -> Edit:
    """What the index says that an unreadable edit did and relied on. Raises DataLoss where it cannot be read either."""
    changes: list[Change] = []
    relied_on: list[Triple] = []
    for head, relation, tail, revision, head_text, tail_text, changed, *mark in touches:
        if revision != edit.revision:
            continue
        _, after = rows.changed((head, relation, tail, head_text, tail_text, *mark))
        today = Triple(Concept(*_today(head, head_text)), relation, Concept(*_today(tail, tail_text)))
        if changed:
            changes.append(Change(today, None, after))
        else:
            relied_on.append(today)
    return Edit(edit.id, edit.revision, EditKind.FACTS, edit.time_ms, tuple(changes), relied_on=tuple(relied_on))
