from __future__ import annotations

import ast
from pathlib import Path

import pytest

from server.graph.edit import Scope
from server.graph.marks import Found, changes_to
from server.graph.triple import Mark, Origin, Stamp, Triple

MEAT = Triple.of("dog", "Desires", "meat")
ADDED, REMOVED = (Mark(origin, Stamp(1, 0)) for origin in (Origin.ADDED, Origin.REMOVED))


@pytest.mark.parametrize(
    ("wanted", "in_base", "present", "after"),
    [
        (Origin.ADDED, False, None, Origin.ADDED),
        (Origin.ADDED, True, None, Origin.ADDED),
        (Origin.ADDED, True, REMOVED, Origin.ADDED),
        (Origin.REMOVED, True, None, Origin.REMOVED),
        (Origin.REMOVED, True, ADDED, Origin.REMOVED),
        (Origin.REMOVED, False, ADDED, None),
    ],
)
def test_a_triple_is_hidden_only_where_the_base_has_it(
    wanted: Origin, in_base: bool, present: Mark | None, after: Origin | None
) -> None:
    (change,) = changes_to([(MEAT, wanted)], {MEAT: (in_base, present)}, 7)
    assert (change.triple, change.before) == (MEAT, present)
    assert change.after == (after and Mark(after, Stamp(7, 0)))


@pytest.mark.parametrize(
    ("wanted", "in_base", "present"),
    [
        (Origin.ADDED, False, ADDED),
        (Origin.REMOVED, False, None),
        (Origin.REMOVED, True, REMOVED),
        (Origin.REMOVED, False, REMOVED),
    ],
)
def test_a_triple_that_is_as_wanted_is_left_alone(
    wanted: Origin, in_base: bool, present: Mark | None
) -> None:
    assert changes_to([(MEAT, wanted)], {MEAT: (in_base, present)}, 7) == ()


def test_a_triple_that_is_added_again_becomes_the_newest_where_asked() -> None:
    (change,) = changes_to([(MEAT, Origin.ADDED)], {MEAT: (False, ADDED)}, 7, renew=True)
    assert change.after == Mark(Origin.ADDED, Stamp(7, 0))


def test_positions_count_the_changes_that_are_made() -> None:
    tails = [Triple.of("dog", "Desires", str(n)) for n in range(4)]
    found = {t: (n % 2 == 0, ADDED if n == 1 else None) for n, t in enumerate(tails)}
    changes = changes_to([(t, Origin.ADDED) for t in tails], found, 7)
    assert [c.after and c.after.stamp.position for c in changes] == [0, 1, 2]


def test_what_is_added_has_its_scope_and_what_is_taken_away_has_none() -> None:
    found: Found = {MEAT: (True, None)}
    scope = Scope("What does my dog like?", owned=True)
    for origin, expected in ((Origin.ADDED, scope), (Origin.REMOVED, None)):
        [change] = changes_to([(MEAT, origin)], found, 7, scopes={MEAT: scope})
        assert change.scope == expected
    [change] = changes_to([(MEAT, Origin.ADDED)], found, 7)
    assert change.scope is None


SERVER = Path(__file__).parents[2] / "server"
MAKES_MARKS = {"graph/marks.py", "graph/codec.py"}
"""Decides on marks, and reads those of a log. The stores read what they stored."""


def test_only_one_place_decides_on_marks() -> None:
    makers = set()
    for path in SERVER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Mark":
                makers.add(path.relative_to(SERVER).as_posix())
    assert {maker for maker in makers if not maker.startswith("stores/")} == MAKES_MARKS
