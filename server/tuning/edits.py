"""The edits that use cases propose."""

from __future__ import annotations

import time
import uuid

from server.graph.edit import Account, Change, Edit, EditKind
from server.tuning.ports import Snapshot


def next_edit(
    snapshot: Snapshot,
    kind: EditKind,
    changes: tuple[Change, ...],
    *,
    reverts: str | None = None,
    account: Account | None = None,
    message: str = "",
) -> Edit:
    """The edit that makes `changes` after `snapshot`.

    Without changes there is nothing to commit: the edit has no id, and the snapshot's revision.
    """
    return Edit(
        id=new_edit_id() if changes else "",
        revision=snapshot.revision + (1 if changes else 0),
        kind=kind,
        time_ms=now_ms(),
        changes=changes,
        account=account,
        reverts=reverts,
        message=message,
    )


def new_edit_id() -> str:
    """A random id."""
    return uuid.uuid4().hex


def now_ms() -> int:
    """The time of an edit made now, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
