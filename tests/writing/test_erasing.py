"""An erase takes its turn, is made once, and leaves nothing that the model said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from server.errors import StoreBusy
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import Answerer, AnswerRules
from server.tuning.history import EditFactsCommand, Historian
from server.tuning.ports import Erased, Snapshot
from server.writing.erasing import Erasing
from server.writing.turns import UserTurns
from server.writing.writes import Kept, RequestKey, Writes
from tests.fixed_model import FixedModel
from tests.writing.proposals import Nothing

VOCABULARY = Vocabulary.built_in()
CARROTS = Triple.of("dog", "Desires", "carrots")


def answerer_over(store: SqliteStore) -> Answerer:
    return Answerer(store, FixedModel({}), VOCABULARY, AnswerRules())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path, VOCABULARY)
    yield store
    await store.close()


async def test_an_erase_waits_for_the_users_writes_and_is_made_once(store: SqliteStore) -> None:
    turns = UserTurns()
    writes, erasing = Writes(store, turns), Erasing(store, turns, answerer_over(store))
    historian, command = Historian(store), EditFactsCommand.of("alice", VOCABULARY, [CARROTS])
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Snapshot) -> Nothing:
        entered.set()
        await go_on.wait()
        return Nothing()

    async def told() -> None:
        await writes.run("alice", lambda snapshot: historian.propose_edit(command, snapshot))

    await told()
    kept: Kept[str] = Kept(RequestKey("w", "c"), str.encode, bytes.decode)
    writing = asyncio.ensure_future(writes.respond("alice", slow, lambda _: "written", kept))
    await entered.wait()
    first_erase = asyncio.ensure_future(erasing.erase("alice", "r"))
    await asyncio.sleep(0)
    assert (await store.snapshot("alice")).revision == 1
    go_on.set()
    assert await writing == "written"
    first = await first_erase
    assert (first.edits, first.added_triples, first.stored_responses) == (1, 1, 1)
    await told()
    assert await erasing.erase("alice", "r") == first
    assert (await store.snapshot("alice")).revision == 1, "what came after the first erase is there"
    assert (await erasing.erase("alice", "other")).edits == 1
    assert await erasing.erase("bob", "r") == Erased()


@pytest.mark.parametrize("fails", [False, True])
async def test_what_the_model_said_is_forgotten_with_the_user_even_where_the_store_is_busy(
    store: SqliteStore, fails: bool
) -> None:
    answerer = answerer_over(store)
    memories = answerer.memories
    of_alice, of_bob = memories.of("alice"), memories.of("bob")

    async def busy(*_: object) -> Erased:
        raise StoreBusy("traces are still on disk", retry_after_s=None)

    if fails:
        store.erase = busy  # type: ignore[assignment]
    erasing = Erasing(store, UserTurns(), answerer)
    if fails:
        with pytest.raises(StoreBusy):
            await erasing.erase("alice", None)
    else:
        await erasing.erase("alice", None)
    assert memories.of("alice") is not of_alice
    assert memories.of("bob") is of_bob


async def test_what_another_server_erased_is_forgotten_and_nothing_of_others(
    store: SqliteStore,
) -> None:
    here, there = answerer_over(store), answerer_over(store)
    erasing, elsewhere = (Erasing(store, UserTurns(), each) for each in (here, there))
    recalls, historian = here.retriever.recalls, Historian(store)
    for user in ("alice", "bob"):
        command = EditFactsCommand.of(user, VOCABULARY, [CARROTS])
        await Writes(store, UserTurns()).run(user, partial(historian.propose_edit, command))
        await recalls.of(user, "fixed", None)
    of_bob = here.memories.of("bob")
    here.memories.of("alice")
    await erasing.follow()
    assert recalls.users == 2
    await elsewhere.erase("alice", None)
    await erasing.follow()
    assert recalls.users == 1
    assert here.memories.of("bob") is of_bob
    assert here.memories.users == 1
