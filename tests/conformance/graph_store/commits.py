"""Commits: on the snapshot that they were computed on, and whole or not at all."""

from __future__ import annotations

import asyncio

import pytest

from server.errors import Internal, RevisionMoved
from server.graph.concept import Concept
from server.graph.edit import Change
from server.graph.triple import Triple
from server.tuning.ports import GraphStore, RequestRecord
from tests.conformance.graph_store.graph import CARROTS, DOG, SOFA, t
from tests.conformance.graph_store.steps import add, added, edit
from tests.conformance.graph_store.suite import GraphStoreSuite


class Commits(GraphStoreSuite):
    """Commits: on the snapshot that they were computed on, and whole or not at all."""

    async def test_a_commit_on_an_old_snapshot_changes_nothing(self, store: GraphStore) -> None:
        old = await store.snapshot("ann")
        await add(store, "ann", CARROTS)
        with pytest.raises(RevisionMoved) as moved:
            await store.commit("ann", old, [edit(1, Change(SOFA, None, added(1)))], None)
        assert (moved.value.expected, moved.value.actual) == (0, 1)
        assert (await store.neighborhood("ann", DOG, 9)).find(SOFA) is None

    async def test_a_failed_commit_leaves_no_half(self, store: GraphStore) -> None:
        record = RequestRecord("r-1", "hash", b"")
        first, second = (
            edit(1, Change(SOFA, None, added(1))),
            edit(2, Change(CARROTS, None, added(2))),
        )
        await store.commit("ann", await store.snapshot("ann"), [first], record)
        # Any error will do: the request id is taken.
        with pytest.raises(Exception, match=r".*"):
            await store.commit("ann", await store.snapshot("ann"), [second], record)
        assert (await store.snapshot("ann")).revision == 1
        assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is None

    @pytest.mark.parametrize(
        "bad",
        [
            Triple(DOG, "", Concept("ball", "ball")),
            Triple(DOG, "likes", Concept("", "_")),
            Triple(Concept("x" * 600, "x" * 600), "likes", DOG),
            Triple(DOG, "likes", Concept("ball", "half \ud800")),
        ],
        ids=["no relation", "no tail", "long head", "half a character"],
    )
    async def test_an_edit_that_could_not_be_read_back_is_not_written(
        self, store: GraphStore, bad: Triple
    ) -> None:
        with pytest.raises(Internal):
            await store.commit(
                "ann", await store.snapshot("ann"), [edit(1, Change(bad, None, added(1)))], None
            )
        assert (await store.snapshot("ann")).revision == 0
        await add(store, "ann", CARROTS)
        assert len(await store.history("ann")) == 1

    async def test_no_write_of_concurrent_writers_to_one_user_is_lost(
        self, store: GraphStore
    ) -> None:
        async def write(number: int) -> None:
            while True:
                snapshot = await store.snapshot("ann")
                revision = snapshot.revision + 1
                change = Change(t("dog", "HasA", f"idea {number}"), None, added(revision))
                try:
                    await store.commit("ann", snapshot, [edit(revision, change)], None)
                except RevisionMoved:
                    continue
                return

        await asyncio.gather(*(write(n) for n in range(16)))
        view = await store.neighborhood("ann", DOG, 99)
        assert {v.triple.tail.text for v in view.slice("HasA").personal} == {
            f"idea {n}" for n in range(16)
        }
        assert [e.revision for e in await store.history("ann")] == list(range(1, 17))

    async def test_users_write_side_by_side(self, store: GraphStore) -> None:
        await asyncio.gather(
            *(add(store, f"user {n}", t("dog", "Desires", f"wish {n}")) for n in range(64))
        )
        for n in range(64):
            view = await store.neighborhood(f"user {n}", DOG, 9)
            assert [v.triple.tail.text for v in view.slice("Desires").personal] == [f"wish {n}"]
