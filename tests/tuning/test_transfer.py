"""Exports and imports: what an import comes to, and how much work it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from server.graph.checks import MAX_CHANGES
from server.graph.codec import MAX_EDIT_BYTES, edit_to_json
from server.graph.edit import Scope
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning import export_format, transfer
from server.tuning.export_format import MalformedExport
from server.tuning.history import EditFactsCommand, Historian
from server.tuning.ports import Page
from server.tuning.transfer import Courier, Imported
from server.writing.turns import UserTurns
from server.writing.writes import Writes
from testbed.bases import BaseTriple, build_base
from tests.tuning.exports import chain, exported, signed

VOCABULARY = Vocabulary.built_in()
MEAT = Triple.of("dog", "Desires", "meat")


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


async def test_what_facts_answer_is_imported_and_merged_a_merge_reads_the_keys_again(
    stores: Callable[..., SqliteStore],
) -> None:
    scope = Scope(
        "What does my dog eat?", b"\x00\x3c" + b"\x00" * 6, "model", owned=True, answered=0.5
    )
    [edit] = chain(1)
    [change] = edit.changes
    lines = exported([replace(edit, changes=(replace(change, scope=scope),))])
    here = stores()
    await imported(here, "ann", lines)
    assert (await here.edit("ann", "e1")).changes[0].scope == scope
    await told(here, "bob", add=[MEAT])
    [merged] = (await imported(here, "bob", lines, merge=True)).merged_edits
    assert merged.changes[0].scope == Scope("What does my dog eat?", owned=True, answered=0.5)


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
    plain = export_format.parse_export

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
