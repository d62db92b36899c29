import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import InvalidRequest
from server.graph.codec import MalformedEdit, checked_text, checked_triple, edit_from_json, edit_to_json
from server.graph.concept import concept_key
from server.graph.edit import Change, Edit, EditKind, Evidence, StopReason, TripleProbabilities
from server.graph.triple import Mark, Origin, Stamp, Triple

names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=15).filter(concept_key)
triples = st.builds(Triple.of, names, names.map(str.strip), names)
marks = st.none() | st.builds(
    Mark, st.sampled_from([Origin.ADDED, Origin.REMOVED]), st.builds(Stamp, st.integers(1, 99), st.integers(0, 99))
)
shares = st.floats(0, 1)
losses = st.floats(0, 50) | st.just(math.inf)
edits = st.builds(
    Edit,
    st.text("0123456789abcdef", min_size=1, max_size=32),
    st.integers(1, 1 << 40),
    st.sampled_from(EditKind),
    st.integers(0, 1 << 45),
    st.lists(st.builds(Change, triples, marks, marks, st.none() | st.builds(TripleProbabilities, shares, shares, shares)), max_size=4).map(tuple),
    st.none()
    | st.builds(
        Evidence, names, names, names, names, st.lists(names, max_size=3).map(tuple), losses, losses,
        st.sampled_from(StopReason), st.booleans(), st.text(max_size=9), st.text(max_size=9),
    ),
    st.none() | st.just("abc"),
    st.lists(triples, max_size=2).map(tuple),
)  # fmt: skip


@given(edits)
def test_an_edit_is_read_back_as_it_was(edit: Edit) -> None:
    line = edit_to_json(edit)
    assert "\n" not in line
    assert edit_from_json(line) == edit
    assert edit_to_json(edit_from_json(line)) == line, "texts are kept as typed"


def good() -> dict[str, Any]:
    edit = Edit("e", 1, EditKind.FACTS, 5, (Change(Triple.of("a", "IsA", "b"), None, Mark(Origin.ADDED, Stamp(1, 0))),))
    return dict(json.loads(edit_to_json(edit)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", ""),
        ("id", 7),
        ("revision", 0),
        ("revision", True),
        ("kind", "magic"),
        ("time_ms", -1),
        ("changes", {}),
        ("changes", [{"triple": ["a", "IsA"], "before": None, "after": None}]),
        ("changes", [{"triple": ["a", "IsA", " "], "before": None, "after": None}]),
        ("changes", [{"triple": ["a", "IsA", "b"], "before": ["base", 1, 0], "after": None}]),
        ("changes", [{"triple": ["a", "IsA", "b"], "before": ["added", 0, 0], "after": None}]),
        ("evidence", {"query": 1}),
        ("relied_on", [["a"]]),
    ],
)
def test_what_an_edit_cannot_be_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(InvalidRequest):
        edit_from_json(json.dumps(good() | {key: value}))


@pytest.mark.parametrize("line", ["", "{", "[]", "7", '"x"'])
def test_other_json_is_refused(line: str) -> None:
    with pytest.raises(MalformedEdit):
        edit_from_json(line)


def test_texts_are_stripped_and_bounded() -> None:
    assert checked_text("  dog\n", "query", 10) == "dog"
    for text in ("", "   ", "x" * 11, "a\x00b", "ä" * 6):
        with pytest.raises(InvalidRequest, match="query"):
            checked_text(text, "query", 10)


def test_a_triples_limits_name_the_part() -> None:
    with pytest.raises(InvalidRequest, match=r"add\[0\]\.relation"):
        checked_triple("dog", "r" * 65, "x", "add[0]")
    with pytest.raises(InvalidRequest, match=r"add\[0\]\.tail"):
        checked_triple("dog", "IsA", "x" * 513, "add[0]")
