"""Where an overlay stands, and which reads and commits are refused."""

from __future__ import annotations

import pytest

from server.errors import Internal, OverlayErased, RevisionMoved, UnknownRevision
from server.graph.edit import Edit, EditKind
from server.stores.rules import revisions
from server.tuning.ports import Snapshot


def test_a_read_is_about_the_latest_revision_unless_another_is_asked_for() -> None:
    assert revisions.revision_to_read(None, 7) == 7
    assert revisions.revision_to_read(0, 7) == 0
    assert revisions.revision_to_read(7, 7) == 7


@pytest.mark.parametrize("asked", [-1, 8])
def test_a_revision_that_was_not_reached_is_unknown(asked: int) -> None:
    with pytest.raises(UnknownRevision, match=f"revision {asked} does not exist"):
        revisions.revision_to_read(asked, 7)


def test_a_user_without_edits_stands_elsewhere_after_each_erase() -> None:
    first, second = revisions.snapshot_without_edits(0), revisions.snapshot_without_edits(1)
    assert first == Snapshot(0, "none:0")
    assert second == Snapshot(0, "none:1")
    assert revisions.has_no_edits(first)
    assert not revisions.has_no_edits(Snapshot(1, revisions.new_overlay_id()))


@pytest.mark.parametrize(
    ("computed", "current", "refused"),
    [
        (Snapshot(1, "a"), Snapshot(2, "a"), RevisionMoved),
        (Snapshot(0, "none:3"), Snapshot(1, "a"), RevisionMoved),
        (Snapshot(1, "a"), Snapshot(0, "none:3"), OverlayErased),
        (Snapshot(1, "a"), Snapshot(1, "b"), OverlayErased),
        (Snapshot(0, "none:2"), Snapshot(0, "none:3"), OverlayErased),
        (Snapshot(0, "none:2"), Snapshot(1, "a"), OverlayErased),
    ],
)
def test_a_commit_is_refused_for_another_write_or_an_erase(
    computed: Snapshot, current: Snapshot, refused: type[Exception]
) -> None:
    assert type(revisions.refusal(computed, current, erasures=3)) is refused


def test_the_revisions_of_a_commit_have_no_gaps() -> None:
    edits = [Edit(f"e{n}", n, EditKind.FACTS, 1, ()) for n in (4, 5)]
    revisions.require_consecutive(3, edits)
    for latest, log in ((2, edits), (3, edits[::-1])):
        with pytest.raises(Internal, match="does not follow"):
            revisions.require_consecutive(latest, log)
