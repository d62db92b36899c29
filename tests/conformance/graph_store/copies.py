"""What copies of a store need: all users, overlays with a given id, and tombstones."""

from __future__ import annotations

from server.graph.edit import Change
from server.tuning.ports import GraphStore, OverlayOf, Page, RequestRecord, Snapshot, Tombstone
from tests.conformance.graph_store.graph import BONES, CARROTS, MEAT, SOFA
from tests.conformance.graph_store.steps import add, added, edit, every_page, remove
from tests.conformance.graph_store.suite import GraphStoreSuite


class Copies(GraphStoreSuite):
    """What copies of a store need: all users, overlays with a given id, and tombstones."""

    async def test_all_users_with_edits_are_listed_page_by_page(self, store: GraphStore) -> None:
        assert (await store.overlays(Page(9))).items == ()
        for user in ("ann", "bob", "Zoë", "犬"):
            await add(store, user, CARROTS)
        await remove(store, "bob", MEAT)
        await store.commit("cy", await store.snapshot("cy"), [], RequestRecord("r", "h", b""))
        listed = await every_page(store.overlays, 2)
        users = ("ann", "bob", "Zoë", "犬")
        assert {one.user: one for one in listed} == {
            user: OverlayOf(user, await store.snapshot(user)) for user in users
        }
        assert len(listed) == 4
        assert await every_page(store.overlays, 3) == listed

    async def test_a_first_edit_takes_the_id_that_is_given(self, store: GraphStore) -> None:
        begun = await store.snapshot("ann")
        first = edit(1, Change(CARROTS, None, added(1)))
        await store.commit("ann", begun, [first], None, "0" * 32)
        assert await store.snapshot("ann") == Snapshot(1, "0" * 32)
        second = edit(2, Change(BONES, None, added(2)))
        await store.commit("ann", Snapshot(1, "0" * 32), [second], None, "1" * 32)
        assert await store.snapshot("ann") == Snapshot(2, "0" * 32), "it is the same overlay"

    async def test_an_erase_leaves_the_id_of_the_overlay(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        await add(store, "bob", CARROTS)
        first = await store.snapshot("ann")
        await store.erase("ann", "r-1")
        await add(store, "ann", SOFA)
        second = await store.snapshot("ann")
        await store.erase("ann", "r-1")
        await store.erase("nobody")
        kept = await every_page(store.tombstones, 1)
        assert [tombstone.overlay_id for tombstone in kept] == [first.overlay_id]
        assert kept[0].time_ms > 0
        await store.erase("ann", "r-2")
        both = {tombstone.overlay_id for tombstone in await every_page(store.tombstones, 1)}
        assert both == {first.overlay_id, second.overlay_id}

    async def test_an_overlay_with_a_tombstone_is_erased(self, store: GraphStore) -> None:
        for user in ("ann", "bob"):
            await add(store, user, CARROTS)
        of_cy = RequestRecord("r", "hash", b"what nobody can say was erased")
        await store.commit("cy", await store.snapshot("cy"), [], of_cy)
        of_bob = RequestRecord("r", "hash", b"")
        await store.commit("bob", await store.snapshot("bob"), [], of_bob)
        ann = await store.snapshot("ann")
        tombstones = [Tombstone(ann.overlay_id, 5), Tombstone("of an overlay elsewhere", 7)]
        assert await store.bury(tombstones) == 1
        assert await store.history("ann") == []
        assert await store.response("cy", "r") is None
        assert len(await store.history("bob")) == 1
        assert await store.response("bob", "r") == of_bob
        assert set(await every_page(store.tombstones, 9)) == set(tombstones)
        await add(store, "ann", SOFA)
        assert await store.bury(tombstones) == 0
        assert len(await store.history("ann")) == 1, "who came back stays"
        assert await store.check() == []
