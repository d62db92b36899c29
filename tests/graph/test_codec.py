"""Edits as JSON: what is written can be read, and nothing else is."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Internal, InvalidRequest
from server.graph.checks import checked_edit
from server.graph.codec import MalformedEdit, edit_from_json, edit_to_json, require_readable
from server.graph.concept import concept_key
from server.graph.edit import (
    Account,
    Change,
    Edit,
    EditKind,
    Scope,
    StopReason,
    TripleProbabilities,
)
from server.graph.triple import Mark, Origin, Stamp, Triple
from tests.graph import edits as made
from tests.graph.edits import VOCABULARY

names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=15).filter(
    concept_key
)
triples = st.builds(Triple.of, names, names.map(str.strip), names)
marks = st.none() | st.builds(
    Mark,
    st.sampled_from([Origin.ADDED, Origin.REMOVED]),
    st.builds(Stamp, st.integers(1, 99), st.integers(0, 99)),
)
shares = st.floats(0, 1)
losses = st.floats(0, 50) | st.just(math.inf)
probabilities = st.builds(TripleProbabilities, shares, shares, shares)
scope_keys = st.binary(min_size=1, max_size=20).map(lambda half: half + half)
answered = st.floats(0, 1, exclude_min=True)
scopes = st.builds(Scope, names, scope_keys, names, st.booleans(), answered) | st.builds(
    Scope, names, owned=st.booleans()
)
changes = st.builds(Change, triples, marks, marks, st.none() | probabilities, st.none() | scopes)
accounts = st.builds(
    Account,
    query=names,
    answer=names,
    subject=names,
    object=names,
    relations=st.lists(names, max_size=3).map(tuple),
    loss_before=losses,
    loss_after=losses,
    stop_reason=st.sampled_from(StopReason),
    converged=st.booleans(),
    answer_before=st.text(max_size=9),
    answer_after=st.text(max_size=9),
)
edits = st.builds(
    Edit,
    id=st.text("0123456789abcdef", min_size=1, max_size=32),
    revision=st.integers(1, 1 << 40),
    kind=st.sampled_from(EditKind),
    time_ms=st.integers(0, 1 << 45),
    changes=st.lists(changes, max_size=4).map(tuple),
    account=st.none() | accounts,
    reverts=st.none() | st.just("abc"),
    relied_on=st.lists(triples, max_size=2).map(tuple),
    message=st.just("") | names,
)
"""Edits with any text that shows something, those of earlier versions too."""


@given(edits)
def test_an_edit_is_read_back_as_it_was(edit: Edit) -> None:
    line = edit_to_json(edit)
    assert "\n" not in line
    assert edit_from_json(line) == edit
    assert edit_to_json(edit_from_json(line)) == line, "texts are kept as typed"


def good() -> dict[str, Any]:
    edit = Edit(
        "e",
        1,
        EditKind.FACTS,
        5,
        (Change(Triple.of("a", "IsA", "b"), None, Mark(Origin.ADDED, Stamp(1, 0))),),
    )
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


# What personal facts answer

KEY = base64.b64encode(made.packed_key([3, -4])).decode()
WHOLE = {
    "query": "What does a dog like?",
    "key": KEY,
    "fingerprint": "f" * 16,
    "owned": True,
    "answered": 0.5,
}


def with_scope(scope: object) -> str:
    document = good()
    document["changes"][0]["scope"] = scope
    return json.dumps(document)


def test_a_scope_is_read_whole_and_may_be_without_a_key() -> None:
    [change] = edit_from_json(with_scope(WHOLE)).changes
    key = made.packed_key([3, -4])
    assert change.scope == Scope("What does a dog like?", key, "f" * 16, owned=True, answered=0.5)
    [change] = edit_from_json(with_scope({"query": "q"})).changes
    assert change.scope == Scope("q")
    [change] = edit_from_json(with_scope(None)).changes
    assert change.scope is None


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"query": ""}, "query"),
        ({"query": None}, "query"),
        ({"query": 7}, "query"),
        ({"query": "a\ud800"}, "query"),
        ({"query": "x" * (1 << 20 | 1)}, "query"),
        ({"key": None}, "key"),
        ({"key": [0.6, -0.8]}, "key"),
        ({"key": "*" * 8}, "key"),
        ({"key": KEY[:-1]}, "key"),
        ({"key": "犬"}, "key"),
        ({"key": base64.b64encode(b"abc").decode()}, "key"),
        ({"key": "A" * (1 << 16 | 4)}, "key"),
        ({"key": ""}, "scope"),
        ({"fingerprint": ""}, "scope"),
        ({"fingerprint": None}, "fingerprint"),
        ({"fingerprint": "f" * 65}, "fingerprint"),
        ({"owned": 1}, "owned"),
        ({"owned": None}, "owned"),
        ({"answered": 0}, "answered"),
        ({"answered": -0.5}, "answered"),
        ({"answered": 1.001}, "answered"),
        ({"answered": True}, "answered"),
        ({"answered": "1"}, "answered"),
        ({"answered": None}, "answered"),
    ],
)
def test_what_a_scope_cannot_be_is_refused_by_name(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedEdit) as refused:
        edit_from_json(with_scope(WHOLE | changed))
    assert refused.value.field == field


@pytest.mark.parametrize(("answered", "kept"), [(0.25, {"answered": 0.25}), (1.0, {})])
def test_how_readily_a_fact_answers_is_left_out_where_it_is_1(
    answered: float, kept: dict[str, float]
) -> None:
    edit = edit_from_json(with_scope({"query": "q", "answered": answered}))
    [change] = json.loads(edit_to_json(edit))["changes"]
    assert change["scope"] == {"query": "q"} | kept


@pytest.mark.parametrize("scope", [[], "q", 7, True, {}])
def test_a_scope_is_an_object_with_a_query(scope: object) -> None:
    with pytest.raises(MalformedEdit):
        edit_from_json(with_scope(scope))


def test_the_widest_models_key_can_be_kept() -> None:
    change = replace(
        edit_from_json(with_scope(WHOLE)).changes[0],
        scope=Scope("q", made.packed_key([1.0] * 24_576), "f"),
    )
    require_readable(Edit("e", 1, EditKind.PERSONALIZE, 5, (change,)))
    wider = replace(change, scope=Scope("q", made.packed_key([1.0] * 24_577), "f"))
    with pytest.raises(Internal):
        require_readable(Edit("e", 1, EditKind.PERSONALIZE, 5, (wider,)))


@pytest.mark.parametrize(
    "scope",
    [
        Scope(""),
        Scope("q", b"ab"),
        Scope("q", b"", "f"),
        Scope("q", answered=0.0),
        Scope("q", answered=math.nan),
    ],
)
def test_a_scope_that_could_not_be_read_back_is_not_to_be_written(scope: Scope) -> None:
    change = Change(Triple.of("a", "IsA", "b"), None, Mark(Origin.ADDED, Stamp(1, 0)), None, scope)
    with pytest.raises(Internal):
        require_readable(Edit("e", 1, EditKind.PERSONALIZE, 5, (change,)))


# What is written can be read


@given(made.edits)
def test_every_edit_that_rpcs_make_can_be_read_and_comes_back_from_an_export(edit: Edit) -> None:
    line = require_readable(edit)
    assert line == edit_to_json(edit)
    assert checked_edit(edit_from_json(line), VOCABULARY) == edit


@pytest.mark.parametrize(
    "triple",
    [
        Triple.of("dog", "", "cat"),
        Triple.of("_", "IsA", "cat"),
        Triple.of("x" * 513, "IsA", "a"),
        Triple.of("a", " r ", "b"),
        Triple.of("dog", "\ud800", "cat"),
        Triple.of("dog", "x" * 65, "cat"),
    ],
)
def test_an_edit_that_could_not_be_read_back_is_not_to_be_written(triple: Triple) -> None:
    change = Change(triple, None, Mark(Origin.ADDED, Stamp(1, 0)))
    for edit in (
        Edit("e", 1, EditKind.FACTS, 5, (change,)),
        Edit("e", 1, EditKind.FACTS, 5, (), relied_on=(triple,)),
    ):
        with pytest.raises(Internal):
            require_readable(edit)


def test_numbers_that_json_cannot_write_are_not_to_be_written() -> None:
    change = Change(Triple.of("a", "IsA", "b"), None, None, TripleProbabilities(math.nan, 0.5, 0.5))
    with pytest.raises(Internal):
        require_readable(Edit("e", 1, EditKind.FACTS, 5, (change,)))


DEEP = "[" * 100_000
BAD_JSON = {
    "deep": '{"id":' + DEEP,
    "deep object": '{"a":' * 100_000,
    "many digits": '{"revision":' + "9" * 5_000 + "}",
    "NaN": '{"revision":NaN}',
    "Infinity": '{"revision":-Infinity}',
    "twice": '{"id":"a","id":"b"}',
}


@pytest.mark.parametrize("what", BAD_JSON)
def test_json_that_cannot_be_read_is_a_malformed_edit(what: str) -> None:
    with pytest.raises(MalformedEdit) as refused:
        edit_from_json(BAD_JSON[what])
    assert len(str(refused.value)) < 150


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e400", "true", '"1"', "null"])
def test_a_value_that_is_not_a_number_is_refused(number: str) -> None:
    line = json.dumps(good())
    probabilities = (
        '"probabilities":{"retrieval_before":0,"retrieval_after":0,"reasoning":' + number + "}"
    )
    assert '"after"' in line
    with pytest.raises(MalformedEdit, match="reasoning"):
        edit_from_json(line.replace('"after"', f'{probabilities},"after"', 1))


@pytest.mark.parametrize("at", ["id", "reverts", "triple", "query"])
def test_half_a_character_is_refused_anywhere(at: str) -> None:
    document = good()
    if at == "triple":
        document["changes"][0]["triple"][2] = "a\ud800"
    elif at == "query":
        document["evidence"] = {"query": "a\ud800"}
    else:
        document[at] = "a\ud800"
    with pytest.raises(MalformedEdit, match=at):
        edit_from_json(json.dumps(document))


keys = st.sampled_from(["id", "changes", "revision", "kind"]) | st.text()
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner),
)


@given(st.text() | documents.map(json.dumps))
def test_any_text_is_an_edit_or_a_malformed_one(line: str) -> None:
    with pytest.raises(MalformedEdit):
        edit_from_json(line)


scope_values = st.text() | st.sampled_from([*WHOLE.values(), "", None]) | documents
scope_documents = st.dictionaries(st.sampled_from(list(WHOLE)), scope_values) | documents


@given(scope_documents)
def test_any_scope_is_malformed_or_comes_back_as_it_was_read(scope: object) -> None:
    try:
        edit = edit_from_json(with_scope(scope))
    except MalformedEdit:
        return
    assert edit_from_json(require_readable(edit)) == edit
