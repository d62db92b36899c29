"""Stored edits: how they are written so that they can be read, and read so that a damaged one fails
alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from server.errors import InvalidRequest, UnreadableRecord
from server.graph.checks import MAX_TIME_MS
from server.graph.codec import edit_from_json
from server.graph.concept import Concept
from server.graph.edit import Edit, UnreadableEdit

_UNDECODABLE = (InvalidRequest, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
"""What reading a damaged record may raise: it is the record that is wrong, whatever is found first.
"""
_MAX_ID = 64


def read_edit(
    body: object,
    edit_id: object,
    revision: object,
    time_ms: object,
    concept: Callable[[str], Concept] = Concept.of,
) -> Edit | UnreadableEdit:
    """The edit in a stored row, or what is known of it where its record does not say an edit of
    this row.

    `body` and `edit_id` are text or UTF-8 bytes when all is well; a damaged row may hold anything.
    """
    try:
        edit = edit_from_json(_text(body), concept)
        if (edit.id, edit.revision) == (_text(edit_id), revision):
            return edit
    except _UNDECODABLE:
        pass
    return UnreadableEdit(
        _shown_id(edit_id), _whole(revision, (1 << 63) - 1), _whole(time_ms, MAX_TIME_MS)
    )


def readable(edit: Edit | UnreadableEdit) -> Edit:
    """The edit. Raises UnreadableRecord for one that is not."""
    if isinstance(edit, UnreadableEdit):
        raise UnreadableRecord(edit.id, edit.revision)
    return edit


def all_readable(edits: Iterable[Edit | UnreadableEdit]) -> list[Edit]:
    """All of `edits`. Raises UnreadableRecord for the first that is not readable."""
    return [readable(edit) for edit in edits]


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, str):
        return value
    raise TypeError


def _shown_id(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:_MAX_ID])


def _whole(value: object, most: int) -> int:
    return value if isinstance(value, int) and 0 <= value <= most else 0
