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
from server.tuning.history import (
    EditFactsCommand,
    Historian,
    RevertCommand,
    Reverted,
    standing_reverts,
)
from server.writing.turns import UserTurns
from server.writing.writes import Writes

VOCABULARY = Vocabulary.built_in()
MEAT = Triple.of("dog", "Desires", "meat")


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    store = SqliteStore(":memory:", VOCABULARY)
    yield store
    await store.close()


async def told(
    store: SqliteStore, add: Sequence[Triple] = (), remove: Sequence[Triple] = ()
) -> Edit:
    command, historian = EditFactsCommand.of("ann", VOCABULARY, add, remove), Historian(store)
    outcome = await Writes(store, UserTurns()).run(
        "ann", lambda snapshot: historian.propose_edit(command, snapshot)
    )
    return outcome.edit


async def reverted(store: SqliteStore, edit_id: str) -> Reverted:
    command, historian = RevertCommand("ann", edit_id), Historian(store)
    return await Writes(store, UserTurns()).run(
        "ann", lambda snapshot: historian.propose_revert(command, snapshot)
    )


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


async def test_undoing_and_redoing_goes_on_and_on(store: SqliteStore) -> None:
    edit = await told(store, add=[MEAT])
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
        latest = (await reverted(store, latest)).edit.id
    assert (await store.snapshot("ann")).revision == steps + 1
    assert asked == {"reverts": steps, "edit": steps}, (
        "one question each, however many there were before"
    )
    assert set((await store.overlay("ann")).marks) == {MEAT}
    assert (await reverted(store, edit.id)).edit.reverts == edit.id


async def test_later_edits_are_named_up_to_20_and_counted(store: SqliteStore) -> None:
    first = await told(store, add=[MEAT])
    turns: list[tuple[Sequence[Triple], Sequence[Triple]]] = [((), [MEAT]), ([MEAT], ())] * 75
    later = [(await told(store, add, remove)).id for add, remove in turns]
    with pytest.raises(RevertBlocked) as blocked:
        await reverted(store, first.id)
    assert blocked.value.edit_ids == tuple(later[:20])
    assert blocked.value.count == 150
    assert "and 130 more" in str(blocked.value)
    assert len(str(blocked.value)) < 1_000
