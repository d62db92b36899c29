"""How much is kept of a user: what would exceed it is refused and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from server.graph.codec import edit_to_json
from server.graph.edit import Edit
from server.graph.triple import Triple
from server.tuning.history import EditFactsCommand, Historian, RevertCommand
from server.tuning.ports import GraphStore, Usage
from server.tuning.transfer import Courier
from server.writing.quotas import HistoryFull, OverlayFull, Quotas, Room
from server.writing.turns import UserTurns
from server.writing.writes import Writes
from tests.conformance.graph_store.graph import BONES, CARROTS, MEAT, SOFA, VOCABULARY
from tests.conformance.graph_store.steps import add, remove
from tests.conformance.graph_store.suite import GraphStoreSuite


class Bounded:
    """A user's writes, within quotas."""

    def __init__(self, store: GraphStore, quotas: Quotas, user: str = "ann") -> None:
        self._user = user
        self._writes = Writes(store, UserTurns(), Room(store, quotas))
        self._historian = Historian(store)
        self._courier = Courier(store, VOCABULARY, dict)

    async def edit(self, add: Sequence[Triple] = (), remove: Sequence[Triple] = ()) -> Edit:
        command = EditFactsCommand.of(self._user, VOCABULARY, add, remove)
        propose = partial(self._historian.propose_edit, command)
        return (await self._writes.run(self._user, propose)).edit

    async def revert(self, edit: Edit) -> Edit:
        propose = partial(self._historian.propose_revert, RevertCommand(self._user, edit.id))
        return (await self._writes.run(self._user, propose)).edit

    async def import_(self, lines: Sequence[str], *, merge: bool = False) -> int:
        command = await self._courier.command(self._user, lines, merge=merge)
        propose = partial(self._courier.propose_import, command)
        return (await self._writes.run(self._user, propose)).revision


async def exported(store: GraphStore, user: str) -> list[str]:
    return list(await Courier(store, VOCABULARY, dict).export(user))


class Rooms(GraphStoreSuite):
    """How much is kept of a user, and what is refused where that would be too much."""

    async def test_usage_counts_facts_added_and_removed_and_the_bytes_of_all_edits(
        self, store: GraphStore
    ) -> None:
        assert await store.usage("ann") == Usage()
        await add(store, "ann", CARROTS, SOFA)
        await remove(store, "ann", MEAT)
        await add(store, "bob", BONES)
        edits = await store.history("ann")
        sizes = [len(edit_to_json(edit).encode()) for edit in edits if isinstance(edit, Edit)]
        assert await store.usage("ann") == Usage(3, sum(sizes))
        await store.erase("ann")
        assert await store.usage("ann") == Usage()
        assert (await store.usage("bob")).facts == 1

    async def test_a_fact_too_many_is_refused_and_taking_one_back_makes_room(
        self, store: GraphStore
    ) -> None:
        ann = Bounded(store, Quotas(facts=2))
        first = await ann.edit(add=[CARROTS], remove=[MEAT])
        with pytest.raises(OverlayFull):
            await ann.edit(add=[SOFA])
        with pytest.raises(OverlayFull):
            await ann.edit(remove=[BONES])
        assert (await store.snapshot("ann")).revision == 1
        second = await ann.edit(add=[SOFA], remove=[CARROTS])
        await ann.revert(second)
        await ann.revert(first)
        assert (await store.usage("ann")).facts == 0
        await ann.edit(add=[SOFA])

    async def test_what_frees_facts_works_where_there_are_more_than_are_kept_today(
        self, store: GraphStore
    ) -> None:
        made = await add(store, "ann", CARROTS, SOFA, BONES)
        full = Bounded(store, Quotas(facts=1, edits=1, history_bytes=1))
        await full.edit(remove=[CARROTS])
        with pytest.raises(OverlayFull):
            await full.edit(add=[CARROTS])
        await add(store, "ann", CARROTS)
        await full.edit(remove=[SOFA, CARROTS])
        assert (await store.usage("ann")).facts == 1
        assert (await store.edit("ann", made.id)) == made

    async def test_a_full_history_refuses_edits_and_all_of_them_can_be_undone(
        self, store: GraphStore
    ) -> None:
        ann = Bounded(store, Quotas(edits=3))
        edits = [
            await ann.edit(add=[CARROTS]),
            await ann.edit(add=[SOFA], remove=[CARROTS]),
            await ann.edit(add=[CARROTS], remove=[SOFA]),
        ]
        with pytest.raises(HistoryFull):
            await ann.edit(add=[BONES])
        for made in reversed(edits):
            await ann.revert(made)
        assert (await store.overlay("ann")).marks == {}
        assert (await store.snapshot("ann")).revision == 6
        with pytest.raises(HistoryFull):
            await ann.edit(add=[BONES])
        assert await store.check() == []

    async def test_a_history_is_bounded_in_bytes_too(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        size = (await store.usage("ann")).history_bytes
        with pytest.raises(HistoryFull) as refused:
            await Bounded(store, Quotas(history_bytes=size + 10)).edit(add=[SOFA])
        assert (refused.value.quota, refused.value.limit) == ("user_history_bytes", size + 10)
        await Bounded(store, Quotas(history_bytes=4 * size)).edit(add=[SOFA])

    async def test_reverting_a_revert_over_and_over_ends(self, store: GraphStore) -> None:
        ann = Bounded(store, Quotas(edits=2))
        last = await ann.edit(add=[CARROTS])
        for _ in range(3):
            last = await ann.revert(last)
        with pytest.raises(HistoryFull):
            for _ in range(2):  # one of two frees a fact, which always works
                last = await ann.revert(last)

    async def test_an_import_is_refused_as_a_whole(self, store: GraphStore) -> None:
        await add(store, "bob", CARROTS, SOFA, BONES)
        lines = await exported(store, "bob")
        ann = Bounded(store, Quotas(facts=2))
        with pytest.raises(OverlayFull):
            await ann.import_(lines)
        assert (await store.snapshot("ann")).revision == 0
        await add(store, "ann", MEAT)
        with pytest.raises(OverlayFull):
            await ann.import_(lines, merge=True)
        assert (await store.snapshot("ann")).revision == 1

    async def test_a_history_with_its_reverts_can_be_taken_back(self, store: GraphStore) -> None:
        ann, cy = (Bounded(store, Quotas(edits=2), user) for user in ("ann", "cy"))
        for made in [await ann.edit(add=[SOFA]), await ann.edit(add=[CARROTS])]:
            await ann.revert(made)
        assert await cy.import_(await exported(store, "ann")) == 4
        with pytest.raises(HistoryFull):
            await cy.edit(add=[BONES])

    async def test_a_merge_into_a_first_edit_brings_the_facts_without_their_history(
        self, store: GraphStore
    ) -> None:
        ann, cy = (Bounded(store, Quotas(edits=3), user) for user in ("ann", "cy"))
        await ann.edit(add=[SOFA])
        await ann.edit(add=[CARROTS])
        await ann.edit(remove=[MEAT])
        await cy.edit(add=[SOFA])
        assert await cy.import_(await exported(store, "ann"), merge=True) == 2
        overlays = [await store.overlay(user) for user in ("ann", "cy")]
        assert overlays[0].marks.keys() == overlays[1].marks.keys()
