"""Ten thousand facts of one user."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import numpy as np

from server.graph.edit import Change, Edit, EditKind, Scope
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.tuning.key_rows import packed
from server.tuning.ports import Key, Snapshot
from server.tuning.recall import UserFacts
from tests.tuning.recalling import (
    JOB,
    MODEL,
    NURSE,
    triples,
)
from tests.tuning.teaching import VOCABULARY


def ten_thousand() -> tuple[UserFacts, Key]:
    """Half of the facts are answers to queries, with keys; the others were told as triples."""
    drawn = np.random.default_rng(15).standard_normal((10_000, 64)).astype(np.float32)
    keys: Key = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    marks, scopes = {}, {}
    for n in range(10_000):
        triple, mark = (
            Triple.of(f"thing {n}", "IsA", f"kind {n}"),
            Mark(Origin.ADDED, Stamp(n + 1, 0)),
        )
        marks[triple] = mark
        if n % 2 == 0:
            scopes[triple, mark.stamp] = Scope(f"What is my thing {n}?", packed(keys[n]), MODEL)
    known = UserFacts(Snapshot(10_000, "o"), marks, scopes, VOCABULARY)
    known.learn_stored(MODEL)
    return known, keys


def test_of_ten_thousand_facts_the_right_one_is_found() -> None:
    known, keys = ten_thousand()
    assert len(known) == 10_000
    for n in (0, 4_998, 9_998):
        [found] = known.about(keys[n], 0.9, [])
        assert found.fact.triple == Triple.of(f"thing {n}", "IsA", f"kind {n}")
    assert known.to_read(["thing 4999", "thing 9"]) == [
        "thing 4999 is a kind of kind 4999", "thing 9 is a kind of kind 9",
    ]  # fmt: skip
    told_ = known.to_read(["thing 4999"])
    known.learn({told_[0]: keys[4_999]})
    assert len(known.about(keys[4_999], 0.9, ["thing 4999"])) == 1
    assert known.about(keys[4_999], 0.9, ["thing 4998"]) == []


def test_a_query_does_not_go_through_all_facts() -> None:
    known, keys = ten_thousand()
    known.learn_words()
    lines = 0

    def count(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        found = known.about(keys[0], 0.9, ["thing 1"])
        unread = known.to_read(["thing 1", "thing 2"])
        of_about = lines
        likely = known.likely("What is my thing 17 worth?", ["thing 17"], few=0, most=24)
    finally:
        sys.settrace(before)
    assert (len(found), len(unread), len(likely)) == (1, 1, 24)
    assert 0 < of_about < 200, "lines of Python"
    assert lines < 2_000, "with those that read the query"


def test_one_edit_more_is_followed_with_all_keys() -> None:
    known, keys = ten_thousand()
    mark = Mark(Origin.ADDED, Stamp(10_001, 0))
    change = Change(NURSE, None, mark, scope=Scope(JOB, packed(-keys[1]), MODEL))
    later = known.after([Edit("e", 10_001, EditKind.PERSONALIZE, 1, (change,))])
    later.learn_stored(MODEL)
    assert len(later) == 10_001
    assert triples(later.about(-keys[1], 0.9, [])) == [NURSE]
    assert later.about(keys[2], 0.9, []) == known.about(keys[2], 0.9, []) != []
