"""What users did: the log of edits, the marks they left, the responses kept, and who was erased."""

from __future__ import annotations

from collections.abc import Sequence

from server.errors import UnknownEdit
from server.graph.edit import Edit, Overlay, UnreadableEdit
from server.graph.triple import Triple, canonical
from server.stores.rules import cursors, pages
from server.stores.rules.records import (
    all_readable,
    read_edit,
    read_response,
    read_revert,
    read_snapshot,
    readable,
)
from server.stores.sqlite import rows, sql
from server.stores.sqlite.session import Session
from server.tuning.ports import (
    Listing,
    OverlayOf,
    Page,
    PersonalFact,
    RequestRecord,
    Tombstone,
    Usage,
)

_AMONG_FACTS = (int, int, str, str, str)
"""The shape of a place behind one of a user's marks: stamp, head, relation, tail."""
_BEFORE_ALL_FACTS = (*rows.NEWEST, "", "", "")
_AMONG_NAMES = (str,)
"""The shape of a place behind a user, or behind an overlay's id."""
_AMONG_EDITS = (int,)
"""The shape of a place in the log: the revision that a page starts with."""


def overlays(session: Session, page: Page) -> Listing[OverlayOf]:
    (behind,) = cursors.decoded(page.cursor, _AMONG_NAMES) if page.cursor else ("",)
    found = [
        (OverlayOf(rows.text(user), read_snapshot(overlay_id, revision)), (user,))
        for user, overlay_id, revision in session.rows(sql.OVERLAYS_PAGE, (behind, page.size + 1))
    ]
    return pages.cut(found, page.size, cursors.encoded)


def tombstones(session: Session, page: Page) -> Listing[Tombstone]:
    (behind,) = cursors.decoded(page.cursor, _AMONG_NAMES) if page.cursor else ("",)
    found = [
        (Tombstone(overlay_id, time_ms), (overlay_id,))
        for overlay_id, time_ms in session.rows(sql.TOMBSTONES_PAGE, (behind, page.size + 1))
    ]
    return pages.cut(found, page.size, cursors.encoded)


def overlay(session: Session, user: str) -> Overlay:
    with session.reading():
        revision = session.snapshot(user).revision
        found = session.rows(sql.ALL_MARKS, {"user": user})
    return Overlay(revision, rows.all_marked(found))


def personal_facts(
    session: Session, user: str, page: Page, at_revision: int
) -> Listing[PersonalFact]:
    behind = cursors.decoded(page.cursor, _AMONG_FACTS) if page.cursor else _BEFORE_ALL_FACTS
    revision, position, head, relation, tail = behind
    with session.reading():
        found = session.ask(
            sql.PAGE_OF_FACTS,
            session.moment(user, at_revision),
            user,
            count=page.size + 1,
            stamp_revision=revision,
            stamp_position=position,
            head=head,
            relation=relation,
            tail=tail,
        )
    facts = tuple(rows.fact(row) for row in found[: page.size])
    return Listing(facts, _cursor_behind(facts[-1]) if len(found) > page.size else "")


def _cursor_behind(fact: PersonalFact) -> str:
    stamp = fact.mark.stamp
    return cursors.encoded((stamp.revision, stamp.position, *rows.keys(fact.triple)))


def edits(
    session: Session, user: str, page: Page, at_revision: int
) -> Listing[Edit | UnreadableEdit]:
    start = at_revision
    if page.cursor:
        (start,) = cursors.decoded(page.cursor, _AMONG_EDITS)
    upto = min(at_revision, start)
    with session.reading():
        session.moment(user, at_revision)
        with session.iterated(sql.EDITS_PAGE, user, upto, page.size + 1) as found:
            listed, following = pages.fill(found, _body_bytes, page)
    next_cursor = "" if following is None else cursors.encoded((following[2],))
    return Listing(tuple(read_edit(*row) for row in listed), next_cursor)


def _body_bytes(row: rows.Row) -> int:
    return len(row[0])


def history(session: Session, user: str) -> list[Edit | UnreadableEdit]:
    return _edits(session, sql.EDITS_ALL, user)


def edit(session: Session, user: str, edit_id: str) -> Edit:
    found = _edits(session, sql.EDIT_BY_ID, user, edit_id)
    if not found:
        raise UnknownEdit
    return readable(found[0])


def edits_since(
    session: Session, user: str, revision: int, triples: Sequence[Triple]
) -> list[Edit]:
    stored = rows.keys_json(canonical(triple, session.vocabulary) for triple in triples)
    return all_readable(_edits(session, sql.EDITS_TOUCHING, user, stored, revision))


def _edits(session: Session, statement: str, *arguments: object) -> list[Edit | UnreadableEdit]:
    return [read_edit(*row) for row in session.rows(statement, arguments)]


def reverts(session: Session, user: str) -> list[tuple[str, str]]:
    return [read_revert(*row) for row in session.rows(sql.REVERTS, (user,))]


def usage(session: Session, user: str) -> Usage:
    ((facts, history_bytes),) = session.rows(sql.USAGE, (user,))
    return Usage(facts, history_bytes)


def response(session: Session, user: str, request_id: str) -> RequestRecord | None:
    row = session.row(sql.RESPONSE, user, request_id)
    return None if row is None else read_response(*row)
