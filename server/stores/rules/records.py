"""Stored records as values. A damaged record does not affect the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from server.errors import DataLoss, InvalidRequest, UnreadableRecord
from server.graph.checks import MAX_TIME_MS
from server.graph.codec import edit_from_json
from server.graph.concept import Concept
from server.graph.edit import Edit, UnreadableEdit
from server.tuning.ports import RequestRecord, Snapshot

_DAMAGED = "the store is damaged; stop the server and run `python -m server check`"
_UNDECODABLE = (InvalidRequest, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
"""What reading a damaged record may raise."""
_MAX_ID = 64
_MAX_REVISION = (1 << 63) - 1


def read_edit(
    body: object,
    edit_id: object,
    revision: object,
    time_ms: object,
    concept: Callable[[str], Concept] = Concept.of,
) -> Edit | UnreadableEdit:
    """The edit in a stored row, or what is known of it when its record is not an edit of this row.

    `body` and `edit_id` are text or UTF-8 bytes when all is well; a damaged row may hold anything.
    """
    try:
        edit = edit_from_json(_text(body), concept)
        if (edit.id, edit.revision) == (_text(edit_id), revision):
            return edit
    except _UNDECODABLE:
        pass
    return UnreadableEdit(
        _shown_id(edit_id), _whole(revision, _MAX_REVISION), _whole(time_ms, MAX_TIME_MS)
    )


def readable(edit: Edit | UnreadableEdit) -> Edit:
    """The edit. Raises UnreadableRecord for one that cannot be read."""
    if isinstance(edit, UnreadableEdit):
        raise UnreadableRecord(edit.id, edit.revision)
    return edit


def all_readable(edits: Iterable[Edit | UnreadableEdit]) -> list[Edit]:
    """All of `edits`. Raises UnreadableRecord for the first that cannot be read."""
    return [readable(edit) for edit in edits]


def read_snapshot(overlay_id: object, revision: object) -> Snapshot:
    """Where a user with edits stands. Raises DataLoss."""
    if not (isinstance(overlay_id, str) and isinstance(revision, int)):
        raise DataLoss(f"a user's place in the log cannot be read: {_DAMAGED}")
    return Snapshot(revision, overlay_id)


def read_response(request_id: object, content_hash: object, response: object) -> RequestRecord:
    """The response that is kept for a request. Raises DataLoss."""
    if not (
        isinstance(request_id, str)
        and isinstance(content_hash, str)
        and isinstance(response, bytes | bytearray)
    ):
        raise DataLoss(
            f"the response of an earlier request with this id cannot be read: {_DAMAGED}"
        )
    return RequestRecord(request_id, content_hash, bytes(response))


def read_revert(reverting: object, reverted: object) -> tuple[str, str]:
    """(id of the edit that reverts, id of the edit that it reverted). Raises DataLoss."""
    if not (isinstance(reverting, str) and isinstance(reverted, str)):
        raise DataLoss(f"which edits were reverted cannot be read: {_DAMAGED}")
    return reverting, reverted


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
