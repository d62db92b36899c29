from server.graph.edit import Change, Edit, EditKind, Overlay
from server.graph.triple import Mark, Origin, Stamp, Triple

MEAT = Triple.of("dog", "Desires", "meat")


def mark(origin: Origin, revision: int) -> Mark:
    return Mark(origin, Stamp(revision, 0))


def test_a_change_enters_or_leaves_the_view_by_what_the_overlay_says_before_and_after() -> None:
    added, removed = mark(Origin.ADDED, 1), mark(Origin.REMOVED, 1)
    assert Change(MEAT, None, added).enters
    assert Change(MEAT, removed, None).enters
    assert Change(MEAT, removed, added).enters
    assert Change(MEAT, added, mark(Origin.ADDED, 2)).enters
    assert not Change(MEAT, None, removed).enters
    assert not Change(MEAT, added, None).enters
    assert not Change(MEAT, added, removed).enters


def test_an_overlay_with_an_edit_is_a_new_overlay() -> None:
    empty = Overlay()
    edit = Edit("e", 1, EditKind.FACTS, 0, (Change(MEAT, None, mark(Origin.REMOVED, 1)),))
    overlay = empty.with_edit(edit)
    assert overlay.marks == {MEAT: mark(Origin.REMOVED, 1)}
    assert overlay.revision == 1
    assert not empty.marks
    back = Edit("f", 2, EditKind.REVERT, 0, (Change(MEAT, mark(Origin.REMOVED, 1), None),))
    assert not overlay.with_edit(back).marks
