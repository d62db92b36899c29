"""Lines of exports: what is taken in, and what is refused with its line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.graph.codec import edit_to_json
from server.graph.edit import Change, Edit, EditKind, Overlay
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.tuning import export_format
from server.tuning.export_format import MalformedExport, parse_export
from tests.graph.edits import changes as any_changes
from tests.tuning.exports import added, chain, exported, signed

VOCABULARY = Vocabulary.built_in()


class TwiceReadable:
    """Lines as a file gives them: with their ends, and from the start each time."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = list(lines)
        self.passes = 0

    def __iter__(self) -> Iterator[str]:
        self.passes += 1
        return (f"{line}\n" for line in self._lines)


def test_lines_are_read_twice_at_most_and_may_come_from_a_file() -> None:
    edits = chain(3)
    lines = TwiceReadable(exported(edits))
    export = parse_export(lines, VOCABULARY)
    assert export.edits == tuple(edits)
    assert export.is_history
    assert export.overlay.revision == 3
    assert lines.passes == 2


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_byte_order_mark_line_ends_and_empty_lines_are_no_text(end: str) -> None:
    edits = chain(2)
    header, *rest = exported(edits)
    lines = [f"\ufeff{header}{end}", end, *(f"{line}{end}" for line in rest), f" {end}"]
    assert parse_export(lines, VOCABULARY).edits == tuple(edits)


def test_a_line_is_named_by_its_place_in_the_file() -> None:
    header, *rest = signed("{", "{")
    with pytest.raises(MalformedExport, match="line 4:"):
        parse_export([header, "", "", *rest], VOCABULARY)


GOOD = json.loads(edit_to_json(chain(1)[0]))
EVIDENCE = {
    "query": "q", "answer": "a", "subject": "s", "object": "o", "relations": [],
    "loss_before": 1, "loss_after": 1, "stop_reason": "loss", "converged": True,
    "answer_before": "", "answer_after": "",
}  # fmt: skip


def with_(**values: Any) -> str:
    return json.dumps(GOOD | values)


def with_triple(*triple: str) -> str:
    return with_(changes=[{"triple": triple, "before": None, "after": ["added", 1, 0]}])


def with_loss(number: str) -> str:
    """The edit with this text for `loss_before`."""
    evidence = json.dumps(EVIDENCE).replace('"loss_before": 1', f'"loss_before": {number}')
    return f'{json.dumps(GOOD)[:-1]},"evidence":{evidence}}}'


def with_marks(before: Any, after: Any, *relations: str) -> str:
    """The edit with a change for each of `relations`."""
    return with_(
        changes=[{"triple": ["a", r, "b"], "before": before, "after": after} for r in relations]
    )


def raw(name: str, value: str) -> str:
    return (
        json.dumps(GOOD)[:-1] + f',"evidence":{json.dumps(EVIDENCE)[:-1]},"{name}":{value}' + "}}"
    )


BAD_EDITS = {
    "half a character in an id": with_(id="\ud800"),
    "half a character in a name": with_triple("dog", "IsA", "\udfff"),
    "half a character in a text": with_(evidence=EVIDENCE | {"query": "\ud800"}),
    "deep": '{"id":' + "[" * 100_000,
    "deep and closed": '{"id":' + "[" * 100_000 + "]" * 100_000 + "}",
    "many digits": with_(revision=1).replace('"revision": 1', '"revision": ' + "9" * 5_000),
    "a large number": with_loss("1" + "0" * 400),
    "an infinite number": with_loss("1e400"),
    "NaN": with_(time_ms=float("nan")),
    "Infinity": with_(time_ms=float("inf")),
    "a name twice": json.dumps(GOOD)[:-1] + ',"id":"x"}',
    "a truth for a number": with_(revision=True),
    "a number for a truth": with_(evidence=EVIDENCE | {"converged": 1}),
    "a number for a text": with_(id=1),
    "a list for an object": with_(evidence=[]),
    "a text for a list": with_(changes="x"),
    "an object for a mark": with_marks(None, {}, "IsA"),
    "a late year": with_(time_ms=253_402_300_800_000),
    "a blank before an id": with_(id=" e"),
    "a line end in an id": with_(id="e\n"),
    "an invisible character in an id": with_(id="e\u200b"),
    "an escape in a query": with_(evidence=EVIDENCE | {"query": "\x1b]0;title\x07"}),
    "NUL in an answer": with_(evidence=EVIDENCE | {"answer": "a\x00b"}),
    "C1 in an answer": with_(evidence=EVIDENCE | {"answer_after": "a\x9bb"}),
    "a long query": with_(evidence=EVIDENCE | {"query": "x" * (1 << 18 | 1)}),
    "an escape in a name": with_triple("dog", "IsA", "a\x1bb"),
    "C1 in a name": with_triple("dog", "IsA", "a\x9bb"),
    "a turn of direction in a name": with_triple("dog", "IsA", "a\u202eb"),
    "a name of underscores": with_triple("___", "IsA", "b"),
    "a name of nothing that shows": with_triple("\u200b", "IsA", "b"),
    "a relation of points": with_triple("unit 7", "...", "rule 12"),
    "a relation that grows": with_triple("dog", "\u0390" * 32, "b"),
    "a long name": with_triple("dog", "IsA", "x" * 513),
    "nothing to nothing": with_marks(None, None, "IsA"),
    "one triple twice": with_marks(None, ["added", 1, 0], "likes", "Desires"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_EDITS)
def test_an_edit_that_no_rpc_makes_is_refused_with_its_line(what: str) -> None:
    second = BAD_EDITS[what].replace('"revision": 1', '"revision": 2', 1)
    with pytest.raises(MalformedExport) as refused:
        parse_export(signed(edit_to_json(replace(chain(1)[0], id="first")), second), VOCABULARY)
    assert str(refused.value).startswith("lines: line 3:")
    assert len(str(refused.value)) < 200


SECRET = "caviar" * 2_000
FRAMES = {
    "version": signed(header=json.dumps({"format": "kgt-overlay", "version": SECRET})),
    "version that is true": signed(header='{"format":"kgt-overlay","version":true}'),
    "format": signed(header=json.dumps({"format": SECRET, "version": 1})),
    "deep header": signed(header="[" * 60_000),
    "long header": signed(
        header=json.dumps({"format": "kgt-overlay", "version": 1, "x": "y" * 70_000})
    ),
    "count": [*signed()[:-1], json.dumps({"edits": SECRET, "sha256": ""})],
    "count that is true": [*signed("{}")[:-1], json.dumps({"edits": True, "sha256": ""})],
    "hash": [*signed()[:-1], json.dumps({"edits": 0, "sha256": SECRET})],
    "half a character": [*signed()[:-1], '{"edits":0,"sha256":"\\ud800"}'],
    "digits": [*signed()[:-1], '{"edits":' + "1" * 5_000 + "}"],
    "one line": signed()[:1],
    "nothing": [],
}


@pytest.mark.parametrize("what", FRAMES)
def test_a_header_or_footer_that_is_none_is_refused_and_not_repeated(what: str) -> None:
    with pytest.raises(MalformedExport, match=r"line [123]:") as refused:
        parse_export(FRAMES[what], VOCABULARY)
    assert "caviar" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_relations_are_named_as_edit_facts_names_them() -> None:
    names = ["likes", "My Own", "is a", "1. likes too", "Owns"]
    lines = signed(
        with_(
            changes=[
                {"triple": ["a", r, str(n)], "before": None, "after": ["added", 1, n]}
                for n, r in enumerate(names)
            ]
        )
    )
    (edit,) = parse_export(lines, VOCABULARY).edits
    assert [c.triple.relation for c in edit.changes] == [
        "Desires",
        "my own",
        "IsA",
        "likes too",
        "HasA",
    ]
    (edit,) = parse_export(lines, VOCABULARY.with_base_names(["Owns", "likes"])).edits
    assert [c.triple.relation for c in edit.changes] == [
        "likes",
        "my own",
        "IsA",
        "likes too",
        "Owns",
    ]


@given(st.lists(any_changes, max_size=4))
def test_any_log_that_rpcs_make_comes_back(log: list[tuple[Change, ...]]) -> None:
    edits: list[Edit] = []
    overlay = Overlay()
    for revision, sent in enumerate(log, start=1):
        changes = tuple(
            Change(c.triple, overlay.marks.get(c.triple), added(revision, n))
            for n, c in enumerate(sent)
        )
        edits.append(Edit(f"e{revision}", revision, EditKind.FACTS, revision, changes))
        overlay = overlay.with_edit(edits[-1])
    export = parse_export(exported(edits), VOCABULARY)
    assert export.edits == tuple(edits)
    assert export.overlay == overlay
    assert exported(export.edits) == exported(edits)


def test_the_marks_of_earlier_edits_are_not_copied_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = exported(chain(300))

    def refuse(*_: object) -> Overlay:
        raise AssertionError("a copy of all marks for one edit")

    monkeypatch.setattr(Overlay, "with_edit", refuse)
    hashed = 0
    plain_hash = Triple.__hash__

    def counted(triple: Triple) -> int:
        nonlocal hashed
        hashed += 1
        return plain_hash(triple)

    monkeypatch.setattr(Triple, "__hash__", counted)
    parse_export(lines, VOCABULARY)
    assert hashed <= 8 * 300, "a few look-ups for each change, however many there were before"


def test_an_import_is_bounded_in_triples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_format, "MAX_TRIPLES", 10)
    assert len(parse_export(exported(chain(5, 2)), VOCABULARY).edits) == 5
    with pytest.raises(MalformedExport, match="line 7:"):
        parse_export(exported(chain(7, 2)), VOCABULARY)


# Into a store
