"""Erasing a user."""

from __future__ import annotations

import pytest

from server.errors import OverlayErased
from server.graph.edit import Change
from server.tuning.ports import Erased, GraphStore, RequestRecord
from tests.conformance.graph_store.graph import BONES, CARROTS, DOG, MEAT, SOFA, t
from tests.conformance.graph_store.steps import add, added, edit, remove
from tests.conformance.graph_store.suite import GraphStoreSuite


class Erasing(GraphStoreSuite):
    """Erasing a user."""

    async def test_erasing_removes_everything_about_one_user(self, store: GraphStore) -> None:
        await add(store, "bob", CARROTS)
        record = RequestRecord("r-1", "hash", b"secret")
        change = Change(t("dog", "Desires", "caviar"), None, added(1))
        await store.commit("ann", await store.snapshot("ann"), [edit(1, change)], record)
        await remove(store, "ann", MEAT)
        erased = await store.erase("ann")
        assert (erased.edits, erased.added_triples, erased.removed_triples) == (2, 1, 1)
        assert (erased.personal_concepts, erased.stored_responses) == (1, 1)
        assert await store.history("ann") == []
        assert await store.response("ann", "r-1") is None
        assert await store.look_up("ann", ["caviar"]) == {}
        assert (await store.neighborhood("ann", DOG, 9)).find(MEAT) is not None
        assert (await store.snapshot("ann")).revision == 0
        assert len(await store.history("bob")) == 1
        assert (await store.erase("ann")).edits == 0

    async def test_servers_can_tell_that_anybody_was_erased_and_who(
        self, store: GraphStore
    ) -> None:
        await add(store, "ann", CARROTS)
        await add(store, "bob", CARROTS)
        users = ["bob", "nobody", "ann"]
        before, erasures = await store.snapshots(users), await store.erasures()
        assert before == {user: await store.snapshot(user) for user in users}
        assert await store.snapshots([]) == {}
        await store.erase("ann")
        after = await store.snapshots(users)
        assert await store.erasures() == erasures + 1
        assert [user for user in users if after[user] != before[user]] == ["ann"]

    async def test_a_repeated_erase_returns_what_the_first_removed_and_removes_nothing(
        self, store: GraphStore
    ) -> None:
        await add(store, "ann", CARROTS)
        kept = RequestRecord("r-1", "hash", b"")
        await store.commit("ann", await store.snapshot("ann"), [], kept)
        first = await store.erase("ann", "e-1")
        assert first == Erased(edits=1, added_triples=1, personal_concepts=1, stored_responses=1)
        assert await store.erase("ann", "e-1") == first
        await add(store, "ann", SOFA)
        assert await store.erase("ann", "e-1") == first
        begun_anew = await store.neighborhood("ann", DOG, 9)
        assert begun_anew.find(SOFA) is not None, "what she began anew stays"
        await add(store, "bob", SOFA)
        assert (await store.erase("bob", "e-1")).edits == 1, "the id was ann's"
        assert (await store.erase("ann", "e-2")).edits == 1
        assert (await store.erase("ann")).edits == 0

    async def test_a_request_begun_before_an_erase_brings_nothing_back(
        self, store: GraphStore
    ) -> None:
        await add(store, "ann", CARROTS)
        begun = await store.snapshot("ann")
        await store.erase("ann")
        with pytest.raises(OverlayErased):
            await store.commit("ann", begun, [edit(2, Change(SOFA, None, added(2)))], None)
        await add(store, "ann", BONES)
        with pytest.raises(OverlayErased):
            await store.commit("ann", begun, [edit(2, Change(SOFA, None, added(2)))], None)
        assert len(await store.history("ann")) == 1

    async def test_a_request_begun_before_the_first_edit_of_an_erased_user_is_refused(
        self, store: GraphStore
    ) -> None:
        begun = await store.snapshot("ann")
        await store.erase("ann")
        with pytest.raises(OverlayErased):
            await store.commit("ann", begun, [edit(1, Change(SOFA, None, added(1)))], None)
        assert (await store.snapshot("ann")).revision == 0

    async def test_a_new_overlay_after_an_erase_has_a_new_id(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        first = await store.snapshot("ann")
        await store.erase("ann")
        await add(store, "ann", CARROTS)
        assert (await store.snapshot("ann")).overlay_id != first.overlay_id
