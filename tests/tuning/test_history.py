"""Undoing, however often and however late."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from server.errors import RevertBlocked
from server.graph.edit import Edit
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.history import Historian, Reverted, standing_reverts
from server.tuning.writes import Writer

VOCABULARY = Vocabulary.built_in()
MEAT = Triple.of("dog", "Desires", "meat")


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    store = SqliteStore(":memory:", VOCABULARY)
    yield store
    await store.close()


@pytest.fixture
def historian(store: SqliteStore) -> Historian:
    return Historian(store, VOCABULARY, Writer(store))


async def told(
    historian: Historian, add: Sequence[Triple] = (), remove: Sequence[Triple] = ()
) -> Edit:
    made: list[Edit] = []
    await historian.edit_facts(
        "ann", add, remove, None, None, lambda edit: made.append(edit) or b""
    )  # type: ignore[func-returns-value]
    return made[-1]


async def reverted(historian: Historian, edit_id: str) -> Reverted:
    made: list[Reverted] = []
    await historian.revert("ann", edit_id, False, None, lambda result: made.append(result) or b"")  # type: ignore[func-returns-value]
    return made[-1]


def test_a_revert_stands_unless_a_standing_one_reverts_it() -> None:
    assert standing_reverts([]) == {}
    assert standing_reverts([("r1", "e")]) == {"e": "r1"}
    assert standing_reverts([("r1", "e"), ("r2", "r1")]) == {"r1": "r2"}
    assert standing_reverts([("r1", "e"), ("r2", "r1"), ("r3", "r2")]) == {"r2": "r3", "e": "r1"}
    assert standing_reverts([("r1", "e"), ("r2", "r1"), ("r3", "e")]) == {"r1": "r2", "e": "r3"}


@pytest.mark.parametrize("length", [2_000, 2_001, 50_000])
def test_a_long_chain_of_reverts_is_looked_through_once(length: int) -> None:
    standing = standing_reverts([(str(n + 1), str(n)) for n in range(length)])
    assert ("0" in standing) == (length % 2 == 1)


async def test_undoing_and_redoing_goes_on_and_on(historian: Historian, store: SqliteStore) -> None:
    edit = await told(historian, add=[MEAT])
    asked: dict[str, int] = {"reverts": 0, "edit": 0}
    plain: dict[str, Any] = {name: getattr(store, name) for name in asked}

    def counted(name: str) -> Any:
        def call(*arguments: object) -> Any:
            asked[name] += 1
            return plain[name](*arguments)

        return call

    for name in asked:
        setattr(store, name, counted(name))
    steps = 300
    latest = edit.id
    for _ in range(steps):
        latest = (await reverted(historian, latest)).edit.id
    assert (await store.snapshot("ann")).revision == steps + 1
    assert asked == {"reverts": steps, "edit": steps}, (
        "one question each, however many there were before"
    )
    assert set((await store.overlay("ann")).marks) == {MEAT}
    assert (await reverted(historian, edit.id)).edit.reverts == edit.id


async def test_later_edits_are_named_up_to_20_and_counted(historian: Historian) -> None:
    first = await told(historian, add=[MEAT])
    turns: list[tuple[Sequence[Triple], Sequence[Triple]]] = [((), [MEAT]), ([MEAT], ())] * 75
    later = [(await told(historian, add, remove)).id for add, remove in turns]
    with pytest.raises(RevertBlocked) as blocked:
        await reverted(historian, first.id)
    assert blocked.value.edit_ids == tuple(later[:20])
    assert blocked.value.count == 150
    assert "and 130 more" in str(blocked.value)
    assert len(str(blocked.value)) < 1_000
