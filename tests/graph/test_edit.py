from hypothesis import given
from hypothesis import strategies as st

from server.graph.edit import Change, Edit, EditKind, Overlay, OverlayBuilder
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


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 5), st.sampled_from([None, Origin.ADDED, Origin.REMOVED])),
            max_size=4,
        ),
        max_size=8,
    )
)
def test_a_builder_replays_a_log_as_edit_after_edit_does(
    log: list[list[tuple[int, Origin | None]]],
) -> None:
    overlay, builder = Overlay(), OverlayBuilder()
    for revision, changed in enumerate(log, start=1):
        after = {
            Triple.of("dog", "Desires", str(n)): origin and mark(origin, revision)
            for n, origin in changed
        }
        changes = tuple(Change(t, overlay.marks.get(t), m) for t, m in after.items())
        edit = Edit(str(revision), revision, EditKind.FACTS, 0, changes)
        assert builder.fits(edit)
        overlay = overlay.with_edit(edit)
        builder.apply(edit)
    assert builder.overlay() == overlay
    assert list(builder.overlay().marks) == list(overlay.marks), "in the same order"


def test_an_edit_that_starts_from_other_marks_does_not_fit() -> None:
    builder = OverlayBuilder()
    assert not builder.fits(
        Edit("e", 1, EditKind.FACTS, 0, (Change(MEAT, mark(Origin.ADDED, 1), None),))
    )


def test_an_overlay_that_was_built_stays_as_it_was() -> None:
    builder = OverlayBuilder()
    builder.apply(Edit("e", 1, EditKind.FACTS, 0, (Change(MEAT, None, mark(Origin.ADDED, 1)),)))
    built = builder.overlay()
    builder.apply(Edit("f", 2, EditKind.FACTS, 0, (Change(MEAT, mark(Origin.ADDED, 1), None),)))
    assert built.marks == {MEAT: mark(Origin.ADDED, 1)}
