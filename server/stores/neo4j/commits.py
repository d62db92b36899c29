"""What the statements of a commit take for each commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from server.graph.edit import Change, Edit
from server.graph.triple import Mark, Triple
from server.stores.neo4j.rows import (
    Row,
    edit_row,
    mark_row,
    overlay_rows,
    place_of,
    request_key,
    triple_of,
    who,
)
from server.stores.rules.concepts import all_concepts
from server.stores.rules.revisions import new_overlay_id, require_consecutive
from server.tuning.ports import KEPT_RESPONSES, RequestRecord, Snapshot


def commit_parameters(
    user: str,
    snapshot: Snapshot,
    edits: Sequence[Edit],
    request: RequestRecord | None,
    overlay_id: str | None = None,
) -> dict[str, Any]:
    """A commit as COMMIT takes it: the edits, and the marks that they leave together.

    `overlay_id` is the id of a new overlay; None makes a random one. Raises Internal for edits that
    do not follow the snapshot, or could not be read back.
    """
    require_consecutive(snapshot.revision, edits)
    changes = _last_changes(edits)
    by_revision = {edit.revision: edit for edit in edits}
    marks: list[tuple[Triple, Mark, Row]] = []
    for triple in sorted(changes):
        change = changes[triple]
        if (mark := change.after) is not None:
            # A revert puts marks back that earlier edits are behind.
            behind = by_revision.get(mark.stamp.revision)
            marks.append((triple, mark, mark_row(user, triple, mark, change, behind)))
    marked = {c.triple for edit in edits for c in edit.changes if c.before is not None}
    return {
        **_computed_on(user, snapshot, request),
        "new_overlay_id": overlay_id or new_overlay_id(),
        "revision": edits[-1].revision,
        "edits": [edit_row(user, e, request if e is edits[-1] else None) for e in edits],
        "marked": [triple_of(user, triple) for triple in sorted(marked)],
        **overlay_rows(user, marks),
        "left": sorted({place_of(user, concept.key) for concept in all_concepts(marked)}),
    }


def response_parameters(user: str, snapshot: Snapshot, request: RequestRecord) -> dict[str, Any]:
    """A commit as COMMIT_RESPONSE takes it."""
    return {
        **_computed_on(user, snapshot, request),
        "kept": asdict(request),
        "most": KEPT_RESPONSES,
    }


def _computed_on(user: str, snapshot: Snapshot, request: RequestRecord | None) -> dict[str, Any]:
    return {
        **who(user),
        "user": user,
        "request": None if request is None else request_key(user, request.request_id),
        "computed_revision": snapshot.revision,
        "computed_overlay_id": snapshot.overlay_id,
    }


def _last_changes(edits: Sequence[Edit]) -> dict[Triple, Change]:
    """The last change of each triple. Its spelling of the concepts replaces earlier ones."""
    last: dict[Triple, Change] = {}
    for edit in edits:
        for change in edit.changes:
            last.pop(change.triple, None)
            last[change.triple] = change
    return last
