"""Rows of the overlays' file as values, and values as rows.

A row that cannot have been written like that is reported as damage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from server.errors import DataLoss, UnreadableRecord
from server.graph.concept import Concept
from server.graph.edit import Change, Edit, EditKind, UnreadableEdit
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.sqlite.connection import DAMAGED
from server.tuning.ports import PersonalFact

Row = Sequence[Any]
MARK_COLUMNS = 8
NEWEST = (b"\xff", 0)
"""A stamp newer than all others, even damaged ones: SQLite sorts bytes last."""
_TEXT_COLUMNS = 5


def marked(row: Row) -> tuple[Triple, Mark]:
    """The triple and the mark in a row's first MARK_COLUMNS. Raises DataLoss."""
    head, relation, tail, head_text, tail_text, origin, revision, position = row[:MARK_COLUMNS]
    texts = all(isinstance(text, str) for text in row[:_TEXT_COLUMNS])
    if not (
        texts and origin in _ORIGINS and isinstance(revision, int) and isinstance(position, int)
    ):
        raise DataLoss(
            f"a triple that revision {_number(revision)} marked cannot be read: {DAMAGED}"
        )
    return Triple(Concept(head, head_text), relation, Concept(tail, tail_text)), Mark(
        _ORIGINS[origin], Stamp(revision, position)
    )


_ORIGINS = {Origin.ADDED.value: Origin.ADDED, Origin.REMOVED.value: Origin.REMOVED}


def all_marked(rows: Iterable[Row]) -> dict[Triple, Mark]:
    """The marks in rows. Raises DataLoss."""
    return dict(marked(row) for row in rows)


def changed(row: Row) -> tuple[Triple, Mark | None]:
    """A triple and the mark that a change left on it, or None. Raises DataLoss."""
    if row[_TEXT_COLUMNS] is not None:
        return marked(row)
    triple, _ = marked((*row[:_TEXT_COLUMNS], Origin.REMOVED.value, 0, 0))
    return triple, None


def indexed(edit: UnreadableEdit, touches: Iterable[Row]) -> Edit:
    """What an unreadable edit did and relied on, by the index of changes.

    Its changes start from no mark, whatever the overlay was. Raises DataLoss when the index is
    damaged too.
    """
    changes: list[Change] = []
    relied_on: list[Triple] = []
    for head, relation, tail, revision, head_text, tail_text, has_changed, *mark in touches:
        if revision != edit.revision:
            continue
        triple, after = changed((head, relation, tail, head_text, tail_text, *mark))
        if has_changed:
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


def text(stored: object) -> str:
    """How a user's own concept is shown. Raises DataLoss."""
    if not isinstance(stored, str):
        raise DataLoss(f"the text of a concept cannot be read: {DAMAGED}")
    return stored


def fact(row: Row) -> PersonalFact:
    """A mark and the edit that made it. Raises DataLoss, with the edit's id where it is known."""
    edit_id, time_ms = row[MARK_COLUMNS:]
    known = isinstance(edit_id, str) and isinstance(time_ms, int)
    try:
        triple, mark = marked(row)
    except DataLoss:
        if known and isinstance(row[6], int):
            raise UnreadableRecord(edit_id, row[6]) from None
        raise
    return PersonalFact(triple, mark, *((edit_id, time_ms) if known else ("", 0)))


def _number(value: object) -> int | str:
    return value if isinstance(value, int) else "?"


# Values as rows


def columns(triple: Triple) -> tuple[str, str, str, str, str]:
    """A triple's keys and texts."""
    return (*keys(triple), triple.head.text, triple.tail.text)


def keys(triple: Triple) -> tuple[str, str, str]:
    """A triple by its keys."""
    return triple.head.key, triple.relation, triple.tail.key


def keys_json(triples: Iterable[Triple]) -> str:
    """A JSON list of [head, relation, tail], for statements about many triples at once."""
    return json.dumps([keys(triple) for triple in triples])


def mark_columns(mark: Mark) -> tuple[str, int, int]:
    """A mark's origin and stamp."""
    return mark.origin.value, mark.stamp.revision, mark.stamp.position


def touches(edit: Edit) -> list[tuple[object, ...]]:
    """The index's rows for an edit, without the user: one for each triple it changed or relied on.

    The first row for a triple counts.
    """
    rows: dict[Triple, tuple[object, ...]] = {}
    for change in edit.changes:
        mark = mark_columns(change.after) if change.after else (None, None, None)
        rows.setdefault(change.triple, _touch(edit, change.triple, 1, mark))
    for triple in edit.relied_on:
        rows.setdefault(triple, _touch(edit, triple, 0, (None, None, None)))
    return list(rows.values())


def _touch(
    edit: Edit, triple: Triple, changed: int, mark: tuple[object, ...]
) -> tuple[object, ...]:
    head, relation, tail, head_text, tail_text = columns(triple)
    return head, relation, tail, edit.revision, head_text, tail_text, changed, *mark
