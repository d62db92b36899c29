"""Where a user's overlay stands, what can be read there, and what can be committed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from server.errors import (
    Conflict,
    Internal,
    OverlayErased,
    RevisionMoved,
    StoreBusy,
    UnknownRevision,
)
from server.graph.edit import Edit
from server.tuning.ports import Snapshot

UNNAMED = "none:"
"""How the overlay id of a user without edits begins. The number of erasures follows."""


def snapshot_without_edits(erasures: int) -> Snapshot:
    """Where a user without edits stands.

    `erasures` counts the erasures of the user's bucket (see `erasures.erasure_bucket`), so the
    overlay id changes with each erase.
    """
    return Snapshot(0, f"{UNNAMED}{erasures}")


def has_no_edits(snapshot: Snapshot) -> bool:
    """Whether the user had no edits at `snapshot`: the first commit has to name the overlay."""
    return snapshot.overlay_id.startswith(UNNAMED)


def new_overlay_id() -> str:
    """A random id for an overlay that gets its first edit."""
    return secrets.token_hex(16)


def revision_to_read(at_revision: int | None, latest: int) -> int:
    """The revision that a read is about: the one asked for, or the latest.

    Raises UnknownRevision.
    """
    if at_revision is None:
        return latest
    if not 0 <= at_revision <= latest:
        raise UnknownRevision(at_revision, latest)
    return at_revision


def refusal(computed: Snapshot, current: Snapshot, erasures: int) -> Conflict:
    """Why a commit that was computed on one snapshot cannot be made on another.

    OverlayErased when the user was erased in between, RevisionMoved when another write came first.
    The first commit of a user names the overlay, which is not an erasure.
    """
    same_overlay = computed.overlay_id == current.overlay_id
    only_named_since = computed.overlay_id == snapshot_without_edits(erasures).overlay_id
    if same_overlay or only_named_since:
        return RevisionMoved(computed.revision, current.revision)
    return OverlayErased()


def require_consecutive(revision: int, edits: Sequence[Edit]) -> None:
    """Raise Internal unless the revisions of `edits` follow `revision` without gaps."""
    for expected, edit in enumerate(edits, start=revision + 1):
        if edit.revision != expected:
            raise Internal("an edit's revision does not follow the overlay's")


def already_answered() -> StoreBusy:
    """The refusal of a commit whose request id another commit took in the meantime."""
    return StoreBusy(
        "a request with this request_id was answered meanwhile; repeat it to get that response"
    )
