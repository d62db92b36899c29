"""How much is kept of one user. What would exceed it is refused before it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from server.errors import LimitReached
from server.graph.codec import edit_to_json
from server.graph.edit import Edit, EditKind
from server.tuning.ports import GraphStore, Snapshot, Usage


class OverlayFull(LimitReached):
    """The user would have more facts, added and removed ones, than are kept."""

    reason = "OVERLAY_FULL"

    def __init__(self, facts: int, limit: int) -> None:
        super().__init__(
            f"this user has added or removed {facts} facts, and {limit} are kept; take some back, "
            "with EditFacts or RevertEdit",
            "user",
            "user_facts",
            limit,
        )


class HistoryFull(LimitReached):
    """The user's history would be longer than is kept. Reverts still have room."""

    reason = "HISTORY_FULL"

    def __init__(self, quota: str, limit: int) -> None:
        unit = "bytes" if quota.endswith("bytes") else "edits"
        super().__init__(
            f"this user's history holds the {limit} {unit} that are kept; reverts still work, and "
            "so does what takes facts back. More room is a setting of the server",
            "user",
            quota,
            limit,
        )


@dataclass(frozen=True, slots=True)
class Quotas:
    """The most that is kept of one user."""

    facts: int = 100_000
    """Triples that the user added or removed."""
    edits: int = 40_000
    history_bytes: int = 30 << 20
    """All edits as JSON: about the size of an export. Twice as much still fits an import."""


class Room:
    """Refuses edits for which a user has no room left."""

    def __init__(self, store: GraphStore, quotas: Quotas) -> None:
        self._store = store
        self._quotas = quotas

    async def require(self, user: str, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """Raise OverlayFull or HistoryFull if these edits may not follow the snapshot.

        What leaves fewer facts than before is never refused, and reverts have as much of the
        history again: whatever was accepted can be undone. So has what begins an overlay, which may
        be the history of another one with its reverts.

        A commit on another snapshot than this one fails, so what is read here still holds then.
        """
        growth = sum(_growth(edit) for edit in edits)
        if growth < 0:
            return
        kept = await self._store.usage(user) if snapshot.revision else Usage()
        quotas = self._quotas
        if growth > 0 and kept.facts + growth > quotas.facts:
            raise OverlayFull(kept.facts, quotas.facts)
        undoes = all(edit.kind is EditKind.REVERT for edit in edits)
        shares = 2 if undoes or not snapshot.revision else 1
        if snapshot.revision + len(edits) > shares * quotas.edits:
            raise HistoryFull("user_edits", quotas.edits)
        # An import's edits take long to write down, and the event loop must serve others.
        size = await asyncio.to_thread(_size_of, edits)
        if kept.history_bytes + size > shares * quotas.history_bytes:
            raise HistoryFull("user_history_bytes", quotas.history_bytes)


def _growth(edit: Edit) -> int:
    """How many marks more than before an edit leaves."""
    return sum((change.after is not None) - (change.before is not None) for change in edit.changes)


def _size_of(edits: Sequence[Edit]) -> int:
    return sum(len(edit_to_json(edit).encode()) for edit in edits)
