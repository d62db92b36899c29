"""Cancelled calls and held locks: each costs its own user, and only for a bounded time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from server.errors import Unavailable
from server.stores.neo4j.store import Neo4jStore
from server.tuning.deadline import call_deadline
from tests.conformance.graph_store import CARROTS, DOG, add, t
from tests.stores.neo4j.looking import sessions, transactions

LOCK = "MATCH (u:User {id: $user}) SET u.locked = true"


async def test_cancelled_calls_leave_no_session_half_used(store: Neo4jStore) -> None:
    await add(store, "ann", CARROTS)
    for turn in range(5):  # each with a fact of its own: a user's commit may be done in any of them
        idea = t("dog", "HasA", f"idea {turn}")
        reads = [asyncio.ensure_future(store.neighborhood("ann", DOG, 9)) for _ in range(20)]
        writes = [asyncio.ensure_future(add(store, f"user {n}", idea)) for n in range(20)]
        calls: list[asyncio.Future[Any]] = [*reads, *writes]
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert done
    assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is not None
    for n in range(20):
        edits, overlay = await store.history(f"user {n}"), await store.overlay(f"user {n}")
        assert len(edits) == len(overlay.marks) == overlay.revision, "whole or not at all"


async def test_a_cancelled_call_leaves_no_transaction_open(store: Neo4jStore) -> None:
    await add(store, "ann", CARROTS)
    async with store._connection._session() as holder, await holder.begin_transaction() as held:
        await held.run(LOCK, user="ann")
        ideas = [t("dog", "HasA", f"idea {n}") for n in range(3)]
        waiting = [asyncio.ensure_future(add(store, "ann", idea)) for idea in ideas]
        reading = [asyncio.ensure_future(store.neighborhood("ann", DOG, 9)) for _ in range(9)]
        await asyncio.gather(*reading)
        for call in waiting:
            call.cancel()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(error) for error in ended} == {asyncio.CancelledError}
        assert sessions(store) == 1, "the holder's"
        await held.rollback()
    # The database ends them by itself when it sees that their connections are gone.
    for _ in range(200):
        if not (left := await transactions(store)):
            break
    assert left == 0


async def test_who_holds_a_lock_delays_nobody_else_and_an_erase_gives_up(store: Neo4jStore) -> None:
    await add(store, "ann", CARROTS)
    async with store._connection._session() as holder, await holder.begin_transaction() as held:
        await held.run(LOCK, user="ann")
        token = call_deadline.set(time.monotonic() + 1.0)
        try:
            with pytest.raises(Unavailable):
                await store.erase("ann")
        finally:
            call_deadline.reset(token)
        await add(store, "bob", CARROTS)
        assert (await store.snapshot("ann")).revision == 1, "readers wait for no lock"
        await held.rollback()
    assert (await store.erase("ann")).edits == 1
