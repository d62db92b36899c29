from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from server.graph.edit import (
    Account,
    Change,
    Edit,
    EditKind,
    Overlay,
    OverlayBuilder,
    Scope,
    StopReason,
    TripleProbabilities,
    scopes_by_mark,
)
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


# What added triples answer


def scoped(revision: int, triple: Triple, scope: Scope | None, **fields: Any) -> Edit:
    change = Change(triple, None, mark(Origin.ADDED, revision), scope=scope)
    return Edit(str(revision), revision, EditKind.PERSONALIZE, 0, (change,), **fields)


def account_of(query: str) -> Account:
    return Account(query, "a", "s", "o", (), 1.0, 0.5, StopReason.LOSS, True, "", "")


def test_a_triple_answers_what_the_edit_that_added_it_says() -> None:
    first, second = Scope("What does my dog like?", b"ab", "f", owned=True), Scope("What else?")
    scopes = scopes_by_mark([scoped(1, MEAT, first), scoped(2, MEAT, second)])
    assert scopes == {
        (MEAT, Stamp(1, 0)): first,
        (MEAT, Stamp(2, 0)): second,
    }, "an older mark may be put back"


def test_an_edit_from_before_scopes_has_its_query_in_its_account() -> None:
    old = scoped(1, MEAT, None, account=account_of("What does a dog like?"))
    assert scopes_by_mark([old]) == {(MEAT, Stamp(1, 0)): Scope("What does a dog like?")}
    [change] = old.changes
    for reasoning, answered in ((0.3, 0.3), (0.0, 1e-6)):
        known = replace(change, probabilities=TripleProbabilities(0, 1, reasoning))
        [scope] = scopes_by_mark([replace(old, changes=(known,))]).values()
        assert scope == Scope("What does a dog like?", answered=answered)
    new = scoped(1, MEAT, Scope("a dog like?"), account=account_of("What does a dog like?"))
    assert scopes_by_mark([new]) == {(MEAT, Stamp(1, 0)): Scope("a dog like?")}


def test_what_was_told_as_a_triple_answers_nothing_in_particular() -> None:
    assert scopes_by_mark([scoped(1, MEAT, None)]) == {}


def test_what_an_edit_takes_away_or_puts_back_answers_nothing_new() -> None:
    back = Change(MEAT, None, mark(Origin.ADDED, 1))
    away = Change(MEAT, mark(Origin.ADDED, 1), mark(Origin.REMOVED, 3))
    for change in (back, away, Change(MEAT, mark(Origin.ADDED, 1), None)):
        edit = Edit("e", 3, EditKind.REVERT, 0, (change,), account=account_of("q"))
        assert scopes_by_mark([edit]) == {}


# Replaying


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
