"""Exports and imports: what is taken in, what is refused and why, and how much work it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.graph.checks import MAX_CHANGES
from server.graph.codec import MAX_EDIT_BYTES, edit_to_json
from server.graph.edit import Change, Edit, EditKind, Overlay
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning import transfer
from server.tuning.history import EditFactsCommand, Historian
from server.tuning.ports import Page
from server.tuning.transfer import Courier, Imported, MalformedExport, export_lines, parse_export
from server.writing.turns import UserTurns
from server.writing.writes import Writes
from testbed.bases import BaseTriple, build_base
from tests.graph.edits import changes as any_changes

VOCABULARY = Vocabulary.built_in()
MEAT = Triple.of("dog", "Desires", "meat")


def added(revision: int, position: int = 0) -> Mark:
    return Mark(Origin.ADDED, Stamp(revision, position))


def chain(count: int, triples: int = 1) -> list[Edit]:
    """Edits that add `triples` triples each."""
    return [
        Edit(
            f"e{r}",
            r,
            EditKind.FACTS,
            r,
            tuple(
                Change(Triple.of(f"head {r}", "IsA", f"tail {n}"), None, added(r, n))
                for n in range(triples)
            ),
        )
        for r in range(1, count + 1)
    ]


def exported(edits: Sequence[Edit]) -> list[str]:
    return list(export_lines(edits, {}))


def signed(*body: str, header: str = '{"format":"kgt-overlay","version":1}') -> list[str]:
    """Lines with a footer that fits them."""
    digest = hashlib.sha256("".join(f"{line}\n" for line in (header, *body)).encode()).hexdigest()
    return [header, *body, json.dumps({"edits": len(body), "sha256": digest})]


class TwiceReadable:
    """Lines as a file gives them: with their ends, one after the other, from the start each time."""

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
    "query": "q", "answer": "a", "subject": "s", "object": "o", "relations": [], "loss_before": 1, "loss_after": 1,
    "stop_reason": "loss", "converged": True, "answer_before": "", "answer_after": "",
}  # fmt: skip


def with_(**values: Any) -> str:
    return json.dumps(GOOD | values)


def with_triple(*triple: str) -> str:
    return with_(changes=[{"triple": triple, "before": None, "after": ["added", 1, 0]}])


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
    "a large number": json.dumps(GOOD)[:-1] + ',"evidence":' + json.dumps(EVIDENCE).replace('"loss_before": 1', '"loss_before": 1' + "0" * 400) + "}",
    "an infinite number": json.dumps(GOOD)[:-1] + ',"evidence":' + json.dumps(EVIDENCE).replace('"loss_before": 1', '"loss_before": 1e400') + "}",
    "NaN": with_(time_ms=float("nan")),
    "Infinity": with_(time_ms=float("inf")),
    "a name twice": json.dumps(GOOD)[:-1] + ',"id":"x"}',
    "a truth for a number": with_(revision=True),
    "a number for a truth": with_(evidence=EVIDENCE | {"converged": 1}),
    "a number for a text": with_(id=1),
    "a list for an object": with_(evidence=[]),
    "a text for a list": with_(changes="x"),
    "an object for a mark": with_(changes=[{"triple": ["a", "IsA", "b"], "before": None, "after": {}}]),
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
    "nothing to nothing": with_(changes=[{"triple": ["a", "IsA", "b"], "before": None, "after": None}]),
    "one triple twice": with_(changes=[{"triple": ["a", r, "b"], "before": None, "after": ["added", 1, 0]} for r in ("likes", "Desires")]),
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
    monkeypatch.setattr(transfer, "MAX_TRIPLES", 10)
    assert len(parse_export(exported(chain(5, 2)), VOCABULARY).edits) == 5
    with pytest.raises(MalformedExport, match="line 7:"):
        parse_export(exported(chain(7, 2)), VOCABULARY)


# Into a store


@pytest.fixture
async def stores() -> AsyncIterator[Callable[..., SqliteStore]]:
    opened: list[SqliteStore] = []

    def open_(*base: Triple) -> SqliteStore:
        store = SqliteStore(":memory:", VOCABULARY)
        opened.append(store)
        build_base(store.folder, [BaseTriple(t) for t in base], VOCABULARY)
        return store

    yield open_
    for store in opened:
        await store.close()


def courier(store: SqliteStore) -> Courier:
    return Courier(store, VOCABULARY, dict)


async def imported(
    store: SqliteStore, user: str, lines: Iterable[str], *, merge: bool = False
) -> Imported:
    imports = courier(store)
    command = await imports.command(user, lines, merge=merge)
    return await Writes(store, UserTurns()).run(
        user, lambda snapshot: imports.propose_import(command, snapshot)
    )


async def told(
    store: SqliteStore, user: str, add: Sequence[Triple] = (), remove: Sequence[Triple] = ()
) -> None:
    command, historian = EditFactsCommand.of(user, VOCABULARY, add, remove), Historian(store)
    await Writes(store, UserTurns()).run(
        user, lambda snapshot: historian.propose_edit(command, snapshot)
    )


async def test_a_merge_hides_nothing_that_this_base_does_not_have(
    stores: Callable[..., SqliteStore],
) -> None:
    kennel, sofa = Triple.of("dog", "AtLocation", "kennel"), Triple.of("dog", "AtLocation", "sofa")
    there, here = stores(kennel, sofa), stores(sofa)
    await told(there, "ann", remove=[kennel, sofa])
    lines = list(await courier(there).export("ann"))
    await told(here, "bob", add=[kennel])
    result = await imported(here, "bob", lines, merge=True)
    assert dict((await here.overlay("bob")).marks) == {sofa: Mark(Origin.REMOVED, Stamp(2, 1))}
    assert [c.after for e in result.merged_edits for c in e.changes] == [
        None,
        Mark(Origin.REMOVED, Stamp(2, 1)),
    ]


async def test_a_large_merge_is_edits_of_500_triples_committed_together(
    stores: Callable[..., SqliteStore],
) -> None:
    store = stores()
    await told(store, "bob", add=[MEAT, Triple.of("head 1", "IsA", "tail 3")])
    result = await imported(store, "bob", exported(chain(3, MAX_CHANGES)), merge=True)
    assert (result.exported_edits, result.revision) == (3, 4)
    assert [len(e.changes) for e in result.merged_edits] == [500, 500, 499]
    assert result.merged == result.merged_edits[-1]
    assert [e.revision for e in result.merged_edits] == [2, 3, 4]
    assert len((await store.overlay("bob")).marks) == 1501
    assert await store.history("bob") == [(await store.history("bob"))[0], *result.merged_edits]
    lines = list(await courier(store).export("bob"))
    assert (await imported(store, "carol", lines)).revision == 4, (
        "what a merge made can be taken on"
    )
    assert (await store.overlay("carol")).marks == (await store.overlay("bob")).marks


async def test_a_merge_that_changes_nothing_is_no_edit(stores: Callable[..., SqliteStore]) -> None:
    store = stores()
    await told(store, "bob", add=[MEAT])
    lines = list(await courier(store).export("bob"))
    result = await imported(store, "bob", lines, merge=True)
    assert (result.revision, result.merged_edits) == (1, ())
    assert result.merged is not None
    assert result.merged.id == ""


async def test_an_edit_of_an_earlier_version_that_is_too_large_is_taken_by_merging_alone(
    stores: Callable[..., SqliteStore],
) -> None:
    store = stores()
    large = exported(chain(1, MAX_CHANGES + 1))
    padding = edit_to_json(chain(1)[0]).replace('"id"', " " * MAX_EDIT_BYTES + '"id"')
    for lines in (large, signed(padding)):
        with pytest.raises(MalformedExport, match=r"line 2: .*merge"):
            await imported(store, "bob", lines)
    assert (await store.snapshot("bob")).revision == 0
    result = await imported(store, "bob", large, merge=True)
    assert [len(e.changes) for e in result.merged_edits] == [500, 1]


async def test_importing_asks_the_store_in_pieces(stores: Callable[..., SqliteStore]) -> None:
    store = stores()
    await told(store, "bob", add=[MEAT])
    asked: list[int] = []
    find = store.find

    async def counted(user: str, triples: Sequence[Triple]) -> Any:
        asked.append(len(triples))
        return await find(user, triples)

    store.find = counted  # type: ignore[method-assign]
    await imported(store, "bob", exported(chain(3, MAX_CHANGES)), merge=True)
    assert asked == [500, 500, 500]


async def test_exports_are_checked_off_the_event_loop(
    stores: Callable[..., SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    threads: list[str] = []
    plain = transfer.parse_export

    def watched(*arguments: Any) -> Any:
        threads.append(threading.current_thread().name)
        return plain(*arguments)

    monkeypatch.setattr(transfer, "parse_export", watched)
    await imported(stores(), "bob", exported(chain(2)))
    assert [name.partition("_")[0] for name in threads] == ["import"]


async def test_what_was_imported_is_listed_whole(stores: Callable[..., SqliteStore]) -> None:
    store = stores()
    await imported(store, "bob", exported(chain(7)))
    assert len((await store.edits("bob", Page(50), 7)).items) == 7
