"""What a store says about itself: its health, what is wrong with it, and how much it holds."""

from __future__ import annotations

from dataclasses import replace

from server.graph.edit import Change, Edit, EditKind
from server.stores.rules.concepts import all_concepts
from server.tuning.ports import GraphStore
from tests.conformance.graph_store.graph import BASE, CARROTS, DOG, MEAT, SOFA, t
from tests.conformance.graph_store.steps import add, added, remove
from tests.conformance.graph_store.suite import GraphStoreSuite

CONCEPTS = len(all_concepts(one.triple for one in BASE))
UNLIKE_THE_LOG = "the overlay is not what the log makes"


class Checks(GraphStoreSuite):
    """What a store says about itself: health, check and counts."""

    async def test_it_says_that_it_is_well(self, store: GraphStore) -> None:
        await store.health()

    async def test_a_check_finds_nothing_in_a_whole_store(self, store: GraphStore) -> None:
        assert await store.check() == []
        await add(store, "ann", CARROTS, t("hot", "Antonym", "freezing"))
        await remove(store, "ann", MEAT)
        await add(store, "bob", SOFA)
        await store.erase("bob")
        assert await store.check() == []

    async def test_a_check_finds_a_mark_that_is_missing(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        await remove(store, "ann", MEAT)
        await self.lose(store, "ann", MEAT)
        assert await store.check() == [f"a user at revision 2: {UNLIKE_THE_LOG}"]

    async def test_a_check_names_each_unreadable_edit_and_goes_on(self, store: GraphStore) -> None:
        for user in ("ann", "bob", "carol"):
            for n in range(3):
                await add(store, user, t("dog", "HasA", f"{user} {n}"))
        edits = await store.history("ann")
        for revision in (1, 3):
            await self.damage(store, "ann", revision)
        await self.lose(store, "carol", t("dog", "HasA", "carol 1"))
        problems = await store.check()
        assert problems == [
            f"a user at revision 3: the record of edit {edits[0].id} (revision 1) cannot be read",
            f"a user at revision 3: the record of edit {edits[2].id} (revision 3) cannot be read",
            f"a user at revision 3: {UNLIKE_THE_LOG}",
        ]
        assert not any(name in " ".join(problems) for name in ("bob", "carol", "dog"))

    async def test_what_an_edit_relied_on_twice_is_not_a_fault(self, store: GraphStore) -> None:
        relied_on = (t("Dog", "Desires", "CARROTS"), CARROTS, SOFA)
        made = Edit(
            "e-1", 1, EditKind.IMPORT, 1, (Change(CARROTS, None, added(1)),), relied_on=relied_on
        )
        await store.commit("ann", await store.snapshot("ann"), [made], None)
        assert await store.check() == []
        assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is not None

    async def test_counts_are_those_of_users_who_have_edits(self, store: GraphStore) -> None:
        empty = await store.counts()
        assert (empty.users, empty.edits) == (0, 0)
        assert (empty.concepts, empty.triples) == (CONCEPTS, len(BASE))
        await add(store, "ann", CARROTS)
        await remove(store, "ann", MEAT)
        await add(store, "bob", CARROTS)
        assert await store.counts() == replace(empty, users=2, edits=3)
        await store.erase("ann")
        assert await store.counts() == replace(empty, users=1, edits=1)
