"""Which edit `/undo` takes back: repeated, it walks back through the history."""

from __future__ import annotations

from collections.abc import Iterator

from kgt.client import Client
from kgt.v1 import personalization_pb2 as pb


def edit_to_undo(client: Client, user: str) -> pb.Edit | None:
    """The user's newest edit that is not an undo and has not been undone. Raises CallError."""
    undone: set[str] = set()
    for edit in _newest_first(client, user):
        if edit.id in undone:
            continue  # and what an undone undo took back counts again
        if edit.kind != pb.EDIT_KIND_REVERT:
            return edit
        undone.add(edit.reverted_edit_id)
    return None


def _newest_first(client: Client, user: str) -> Iterator[pb.Edit]:
    token = ""
    while True:
        page = client.list_edits(user=user, page_token=token)
        yield from page.edits
        token = page.next_page_token
        if not token:
            return
