"""Logs are replayed, and what does not fit is reported once."""

from __future__ import annotations

from server.graph.edit import Change, Edit, EditKind, Overlay, UnreadableEdit
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.rules.logs import checked_log, of_user, replayed

MEAT, BONES = Triple.of("dog", "Desires", "meat"), Triple.of("dog", "Desires", "bones")


def added(revision: int) -> Mark:
    return Mark(Origin.ADDED, Stamp(revision, 0))


def edit(revision: int, triple: Triple, before: Mark | None = None) -> Edit:
    change = Change(triple, before, added(revision))
    return Edit(f"e{revision}", revision, EditKind.FACTS, 1, (change,))


LOG = [edit(1, MEAT), edit(2, BONES), edit(3, MEAT, added(1))]
UNREADABLE: list[Edit | UnreadableEdit] = [
    LOG[0],
    UnreadableEdit("e2", 2, 1),
    edit(3, BONES, added(2)),
]


def test_a_log_makes_an_overlay() -> None:
    assert replayed(LOG) == Overlay(3, {BONES: added(2), MEAT: added(3)})
    assert replayed([]) == Overlay()


def test_a_whole_log_has_no_problems() -> None:
    checked = checked_log(LOG, 3)
    assert checked.problems == ()
    assert checked.overlay == replayed(LOG)
    assert checked_log([], 0).problems == ()


def test_gaps_and_edits_that_do_not_fit_are_reported() -> None:
    assert checked_log([LOG[0], LOG[2]], 5).problems == (
        "the log goes from revision 1 to 3",
        "the log ends at revision 3",
    )
    assert checked_log([LOG[0], edit(2, MEAT)], 2).problems == (
        "edit e2 (revision 2) does not start from the overlay before it",
    )


def test_after_an_unreadable_edit_nothing_is_judged_by_the_overlay() -> None:
    checked = checked_log(UNREADABLE, 3)
    assert checked.problems == ("the record of edit e2 (revision 2) cannot be read",)
    assert checked.overlay is None


def test_a_recovered_edit_takes_part() -> None:
    checked = checked_log(UNREADABLE, 3, lambda unreadable: LOG[unreadable.revision - 1])
    assert checked.problems == ("the record of edit e2 (revision 2) cannot be read",)
    assert checked.overlay == Overlay(3, {MEAT: added(1), BONES: added(3)})


def test_a_user_is_named_by_a_revision_only() -> None:
    assert of_user(3, ["a", "b"]) == ["a user at revision 3: a", "a user at revision 3: b"]
