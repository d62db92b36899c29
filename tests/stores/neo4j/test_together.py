"""Commits that go together, and what they do not share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.errors import RevisionMoved
from server.graph.edit import Change
from server.stores.neo4j.connection import Connection, Neo4jLogin
from server.stores.neo4j.store import Neo4jStore
from server.stores.neo4j.together import MOST_MARKS, MOST_TOGETHER
from server.tuning.ports import Snapshot
from tests.conformance.graph_store import added, edit, t

USERS = [f"user {n}" for n in range(2 * MOST_TOGETHER)]
LOCK = "MATCH (u:User {id: $user}) SET u.locked = true"


class Counted(Connection):
    """Knows how many commits each statement made, or tried to make."""

    def __init__(self, login: Neo4jLogin) -> None:
        super().__init__(login)
        self.sizes: list[int] = []

    async def write_at_once(self, statement: Any, parameters: Any, *rest: Any, **named: Any) -> Any:
        self.sizes.append(len(parameters["commits"]))
        return await super().write_at_once(statement, parameters, *rest, **named)


@pytest.fixture
async def counted(login: Neo4jLogin) -> AsyncIterator[Counted]:
    async with Counted(login) as connection:
        yield connection


@pytest.fixture
async def busy(store: Neo4jStore, counted: Counted) -> AsyncIterator[Neo4jStore]:
    """A store over the same graph, whose statements are counted."""
    opened = Neo4jStore(counted, store._vocabulary)
    yield opened
    await opened._commits.close()


async def write(store: Neo4jStore, user: str, snapshot: Snapshot, marks: int = 1) -> None:
    revision = snapshot.revision + 1
    triples = [t("dog", "HasA", f"idea {revision} {n}") for n in range(marks)]
    changes = [Change(triple, None, added(revision, n)) for n, triple in enumerate(triples)]
    await store.commit(user, snapshot, [edit(revision, *changes)], None)


async def snapshots(store: Neo4jStore) -> dict[str, Snapshot]:
    return {user: await store.snapshot(user) for user in USERS}


async def test_commits_that_wait_for_each_other_go_together(
    busy: Neo4jStore, counted: Counted
) -> None:
    stands = await snapshots(busy)
    await asyncio.gather(*(write(busy, user, stands[user]) for user in USERS))
    assert 1 < max(counted.sizes) <= MOST_TOGETHER
    assert [len((await busy.overlay(user)).marks) for user in USERS] == [1] * len(USERS)
    assert await busy.check() == []


async def test_a_commit_that_is_refused_is_refused_by_itself(busy: Neo4jStore) -> None:
    stands = await snapshots(busy)
    stale = USERS[9]
    await write(busy, stale, stands[stale])
    ended = await asyncio.gather(
        *(write(busy, user, stands[user]) for user in USERS), return_exceptions=True
    )
    refused = [user for user, end in zip(USERS, ended, strict=True) if end is not None]
    assert refused == [stale]
    assert isinstance(ended[9], RevisionMoved)
    assert {(await busy.snapshot(user)).revision for user in USERS} == {1}


async def test_who_waits_for_a_lock_does_not_keep_those_that_went_along(busy: Neo4jStore) -> None:
    held_up = USERS[9]
    await write(busy, held_up, await busy.snapshot(held_up))
    stands = await snapshots(busy)
    async with busy._connection._session() as holder, await holder.begin_transaction() as held:
        await held.run(LOCK, user=held_up)
        calls = {user: asyncio.ensure_future(write(busy, user, stands[user])) for user in USERS}
        others = [call for user, call in calls.items() if user != held_up]
        await asyncio.gather(*others)
        assert not calls[held_up].done()
        await held.rollback()
    await calls[held_up]
    assert (await busy.snapshot(held_up)).revision == 2


async def test_a_large_commit_goes_by_itself(busy: Neo4jStore, counted: Counted) -> None:
    stands = await snapshots(busy)
    await asyncio.gather(*(write(busy, user, stands[user], MOST_MARKS + 1) for user in USERS[:9]))
    assert counted.sizes == [1] * 9


async def test_callers_that_leave_end_what_they_began(busy: Neo4jStore) -> None:
    stands = await snapshots(busy)
    calls = [asyncio.ensure_future(write(busy, user, stands[user])) for user in USERS]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await write(busy, "bob", await busy.snapshot("bob"))
    assert busy._commits._together == set()
    assert await busy.check() == [], "each is whole or not there"
