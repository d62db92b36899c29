"""What changes the overlays' file: commits and erasures, each one transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import astuple

from server.errors import DataLoss
from server.graph.codec import require_readable
from server.graph.edit import Edit
from server.graph.triple import Origin
from server.stores.rules import revisions
from server.stores.rules.erasures import erase_digest, erasure_bucket, oldest_kept_ms
from server.stores.sqlite import rows, sql
from server.stores.sqlite.connection import FileWatch, is_damage
from server.stores.sqlite.session import Session
from server.tuning.ports import Erased, RequestRecord, Snapshot, Tombstone


def probe(session: Session, watch: FileWatch, *, for_real: bool) -> None:
    """Begin a write and drop it. `for_real`, write something small."""
    if for_real:
        with session.writing(watch):
            session.execute(sql.PUT_META, "probed", "")
    else:
        session.execute(sql.BEGIN_WRITING)
        session.execute(sql.ROLLBACK)


def commit(
    session: Session,
    watch: FileWatch,
    user: str,
    computed_on: Snapshot,
    edits: Sequence[Edit],
    request: RequestRecord | None,
    kept_responses: int,
    overlay_id: str | None = None,
) -> None:
    """Append edits and response. Without edits, only the newest `kept_responses` are kept.

    `overlay_id` is the id of a new overlay; None makes a random one.
    """
    bodies = [require_readable(edit) for edit in edits]
    with session.writing(watch):
        current = session.snapshot(user)
        if current != computed_on:
            raise revisions.refusal(computed_on, current, session.erasures(user))
        # An equal request through another server may have been faster
        if request is not None and session.row(sql.RESPONSE, user, request.request_id):
            raise revisions.already_answered()
        if edits:
            named = list(zip(edits, bodies, strict=True))
            _append(session, user, current, named, request, overlay_id)
        elif request is not None:
            session.execute(sql.PUT_RESPONSE, user, *_response_columns(request))
            session.execute(sql.DROP_OLD_RESPONSES, user, kept_responses)


def _append(
    session: Session,
    user: str,
    current: Snapshot,
    edits: Sequence[tuple[Edit, str]],
    request: RequestRecord | None,
    new_id: str | None,
) -> None:
    """Add edits, each with its body, to a user's log. The last one carries the response."""
    revisions.require_consecutive(current.revision, [edit for edit, _ in edits])
    for edit, body in edits[:-1]:
        _insert_edit(session, user, edit, body, None)
    last, body = edits[-1]
    _insert_edit(session, user, last, body, request)
    overlay_id = current.overlay_id
    if revisions.has_no_edits(current):
        overlay_id = new_id or revisions.new_overlay_id()
    session.execute(sql.PUT_USER, user, overlay_id, last.revision)


def _insert_edit(
    session: Session, user: str, edit: Edit, body: str, request: RequestRecord | None
) -> None:
    """Add one edit to the log, and bring what is derived from the log up to it."""
    response = (None, None, None) if request is None else _response_columns(request)
    about = (edit.revision, edit.id, edit.time_ms, edit.reverts)
    session.execute(sql.INSERT_EDIT, user, *about, *response, body)
    session.execute_many(sql.INSERT_TOUCH, [(user, *row) for row in rows.touches(edit)])
    for change in edit.changes:
        columns = rows.columns(change.triple)
        session.execute(sql.DROP_MARK, user, *columns[:3])  # its keys
        if change.after is not None:
            session.execute(sql.PUT_MARK, user, *columns, *rows.mark_columns(change.after))


def _response_columns(request: RequestRecord) -> tuple[str, str, bytes]:
    return request.request_id, request.content_hash, request.response


def erase(session: Session, watch: FileWatch, user: str, request_id: str | None) -> Erased:
    """Remove the user's rows. Maintenance removes what is left of them in the files."""
    now_ms = time.time_ns() // 1_000_000
    oldest_ms = oldest_kept_ms(now_ms)
    digest = None if request_id is None else erase_digest(user, request_id)
    with session.writing(watch):
        earlier = session.row(sql.ERASED_REQUEST, digest, oldest_ms)
        erased = Erased(*earlier) if earlier else _erase_rows(session, user, now_ms)
        session.execute(sql.DROP_OLD_ERASED_REQUESTS, oldest_ms)
        if digest is not None and not earlier:
            session.execute(sql.PUT_ERASED_REQUEST, digest, now_ms, *astuple(erased))
    return erased


def bury(session: Session, watch: FileWatch, tombstones: Sequence[Tombstone]) -> int:
    """Keep tombstones and remove the rows of the overlays that have one. Returns how many."""
    now_ms = time.time_ns() // 1_000_000
    with session.writing(watch):
        session.execute_many(sql.PUT_TOMBSTONE, map(astuple, tombstones))
        users = [user for (user,) in session.rows(sql.BURIED_USERS, ())]
        for user in users:
            _erase_rows(session, user, now_ms)
        session.execute(sql.DROP_RESPONSES_WITHOUT_OVERLAY)
        session.execute(sql.OWE_SCRUB)
    return len(users)


def _erase_rows(session: Session, user: str, now_ms: int) -> Erased:
    ((edits, responses),) = session.rows(sql.COUNT_USER_EDITS, (user,))
    marks = dict(session.rows(sql.COUNT_USER_MARKS, (user,)))
    own = [key for (key,) in session.rows(sql.USER_CONCEPTS, (user,)) if isinstance(key, str)]
    session.execute(sql.PUT_TOMBSTONE_OF, user, now_ms)
    for statement in sql.ERASE:
        session.execute(statement, user)
    session.execute(sql.NEXT_EPOCH, erasure_bucket(user))
    session.execute(sql.OWE_SCRUB)
    added, removed = marks.get(Origin.ADDED.value, 0), marks.get(Origin.REMOVED.value, 0)
    return Erased(edits, added, removed, _unknown_to_base(session, own), responses)


def _unknown_to_base(session: Session, keys: Sequence[str]) -> int:
    """How many of `keys` the base lacks.

    0 while the base cannot be read: that is no reason to keep a user.
    """
    try:
        return len(keys) - len(session.base().concepts(keys))
    except (DataLoss, OSError):
        return 0
    except sqlite3.Error as error:
        if is_damage(error):
            return 0
        raise
