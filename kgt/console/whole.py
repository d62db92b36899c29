"""All that is kept about a user at once: to take along, or to erase."""

from __future__ import annotations

import tempfile

from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from kgt.console.visit import Visit

_MOST_IN_MEMORY_BYTES = 1 << 20


async def show(visit: Visit) -> Response:
    """The page to export and erase from."""
    return visit.page("data.html", mistyped=False)


async def export(visit: Visit) -> Response:
    """All facts with their history as JSON lines, as `kgt export` writes them.

    They are complete before the download begins, so that one that fails is a page that says so.
    """
    file = tempfile.SpooledTemporaryFile(_MOST_IN_MEMORY_BYTES)  # noqa: SIM115 - sent below
    try:
        async for message in visit.client.export_overlay(user=visit.user):
            file.write(message.line.encode() + (b"" if message.continued else b"\n"))
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return StreamingResponse(
        file,
        media_type="application/jsonl",
        headers={"Content-Disposition": 'attachment; filename="kgt-export.jsonl"'},
        background=BackgroundTask(file.close),
    )


async def erase(visit: Visit) -> Response:
    """Erase everything, once the user's name has been typed."""
    if visit.said("confirmation") != visit.user:
        return visit.page("data.html", status=400, mistyped=True)
    erased = await visit.client.erase_user(user=visit.user, request_id=visit.request_id())
    return visit.page("erased.html", erased=erased)
