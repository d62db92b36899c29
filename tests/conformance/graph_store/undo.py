"""Reverting edits."""

from __future__ import annotations

import uuid

import pytest

from server.errors import RevertBlocked
from server.graph.edit import Change, Edit, EditKind
from server.graph.triple import Origin
from server.tuning.history import Skipped
from server.tuning.ports import GraphStore, Page
from tests.conformance.graph_store.graph import CARROTS, DOG, MEAT, SOFA, t
from tests.conformance.graph_store.steps import add, added, commit, remove, revert
from tests.conformance.graph_store.suite import GraphStoreSuite


class Undo(GraphStoreSuite):
    """Reverting edits."""

    async def test_reverts_are_told_oldest_first(self, store: GraphStore) -> None:
        first = await add(store, "ann", CARROTS)
        undone = (await revert(store, "ann", first.id)).edit
        redone = (await revert(store, "ann", undone.id)).edit
        assert await store.reverts("ann") == [(undone.id, first.id), (redone.id, undone.id)]
        assert await store.reverts("bob") == []

    async def test_a_triple_that_a_revert_puts_back_names_the_edit_that_added_it(
        self, store: GraphStore
    ) -> None:
        first = await add(store, "ann", CARROTS)
        removing = await remove(store, "ann", CARROTS)
        await revert(store, "ann", removing.id)
        (fact,) = (await store.personal_facts("ann", Page(9), 3)).items
        assert (fact.mark, fact.edit_id, fact.time_ms) == (added(1), first.id, first.time_ms)

    async def test_reverting_restores_exactly_and_twice_is_once(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        before = await store.neighborhood("ann", DOG, 99)
        second = await commit(
            store, "ann", [(SOFA, Origin.ADDED), (MEAT, Origin.REMOVED), (CARROTS, Origin.ADDED)]
        )
        reverted = await revert(store, "ann", second.id)
        after = await store.neighborhood("ann", DOG, 99)
        assert list(after) == list(before), "age included"
        assert reverted.edit.reverts == second.id
        again = await revert(store, "ann", second.id)
        assert again.edit.id == reverted.edit.id
        assert (await store.snapshot("ann")).revision == 3

    async def test_a_revert_can_be_reverted_and_then_made_anew(self, store: GraphStore) -> None:
        first = await add(store, "ann", CARROTS)
        undone = (await revert(store, "ann", first.id)).edit
        await revert(store, "ann", undone.id)
        assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is not None
        anew = (await revert(store, "ann", first.id)).edit
        assert anew.id != undone.id
        assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is None

    async def test_what_later_edits_changed_blocks_a_revert_or_is_skipped(
        self, store: GraphStore
    ) -> None:
        first = await commit(store, "ann", [(CARROTS, Origin.ADDED), (MEAT, Origin.REMOVED)])
        second = await remove(store, "ann", CARROTS)
        with pytest.raises(RevertBlocked) as blocked:
            await revert(store, "ann", first.id)
        assert blocked.value.edit_ids == (second.id,)
        reverted = await revert(store, "ann", first.id, skip_conflicts=True)
        assert reverted.skipped == (Skipped(CARROTS, (second.id,)),)
        view = await store.neighborhood("ann", DOG, 9)
        assert view.find(MEAT) is not None
        assert view.find(CARROTS) is None

    async def test_what_later_edits_relied_on_blocks_a_revert(self, store: GraphStore) -> None:
        first = await add(store, "ann", CARROTS)
        change = Change(SOFA, None, added(2))
        later = Edit(uuid.uuid4().hex, 2, EditKind.PERSONALIZE, 0, (change,), relied_on=(CARROTS,))
        await store.commit("ann", await store.snapshot("ann"), [later], None)
        with pytest.raises(RevertBlocked) as blocked:
            await revert(store, "ann", first.id)
        assert blocked.value.edit_ids == (later.id,)
        await revert(store, "ann", later.id)
        await revert(store, "ann", first.id)
        assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is None

    async def test_reverting_in_reverse_order_gives_the_base_back(self, store: GraphStore) -> None:
        original = list(await store.neighborhood("ann", DOG, 99))
        fish = t("dog", "Desires", "fish")
        first = await commit(store, "ann", [(CARROTS, Origin.ADDED), (MEAT, Origin.REMOVED)])
        second = await commit(store, "ann", [(fish, Origin.ADDED), (CARROTS, Origin.REMOVED)])
        for made in (second, first):
            await revert(store, "ann", made.id)
        assert list(await store.neighborhood("ann", DOG, 99)) == original
