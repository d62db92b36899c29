"""The history: every change with its before and after, and how to undo it."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from kgt import errors
from kgt.console.visit import Visit
from kgt.v1 import personalization_pb2 as pb

PAGE_EDITS = 25
_SEARCHED_EDITS = 500


async def show(visit: Visit) -> Response:
    """A page of the history, newest first."""
    token = visit.asked("page")
    found = await visit.client.list_edits(user=visit.user, page_size=PAGE_EDITS, page_token=token)
    return visit.page(
        "history.html",
        edits=found.edits,
        revisions={edit.id: edit.revision for edit in found.edits},
        next_page=found.next_page_token,
        first_page=not token,
    )


async def show_one(visit: Visit) -> Response:
    """One change. Raises HTTPException if the user has no such change."""
    edit = await _edit(visit, visit.request.path_params["edit_id"])
    if edit is None:
        raise HTTPException(404)
    return visit.page("edit.html", edit=edit, revisions={})


async def undo(visit: Visit) -> Response:
    """Undo a change exactly. If later changes rely on it, ask what to do."""
    edit_id = visit.said("edit_id")
    try:
        undone = await visit.client.revert_edit(
            user=visit.user,
            edit_id=edit_id,
            skip_conflicts=bool(visit.said("skip_conflicts")),
            request_id=visit.request_id(),
        )
    except errors.FailedPrecondition as blocked:
        edit_ids = blocked.metadata.get("edit_ids", "").split(",")
        later = [name.strip() for name in edit_ids if name.strip()]
        if not later:
            raise
        count = blocked.metadata.get("edits", "")
        return visit.page("blocked.html", status=409, edit_id=edit_id, later=later, count=count)
    return visit.page("changed.html", edit=undone.edit, skipped=undone.skipped, undone=edit_id)


async def _edit(visit: Visit, edit_id: str) -> pb.Edit | None:
    """The edit with this id. The service lists edits, so they are looked through."""
    token = ""
    while True:
        found = await visit.client.list_edits(
            user=visit.user, page_size=_SEARCHED_EDITS, page_token=token
        )
        edit = next((edit for edit in found.edits if edit.id == edit_id), None)
        token = found.next_page_token
        if edit is not None or not token:
            return edit
