"""A stored edit that cannot be read: it hinders nothing else."""

from __future__ import annotations

import asyncio

import pytest

from server.errors import UnreadableRecord
from server.graph.codec import edit_to_json
from server.graph.edit import UnreadableEdit
from server.tuning.ports import GraphStore, Page
from server.tuning.transfer import Courier
from tests.conformance.graph_store.graph import CARROTS, DOG, t
from tests.conformance.graph_store.steps import add
from tests.conformance.graph_store.suite import GraphStoreSuite


class Damage(GraphStoreSuite):
    """A stored edit that cannot be read: it hinders nothing else."""

    async def test_a_record_that_cannot_be_read_fails_alone(self, store: GraphStore) -> None:
        made = [await add(store, "ann", t("dog", "HasA", f"idea {n}")) for n in range(3)]
        await self.damage(store, "ann", 2)
        broken = UnreadableEdit(made[1].id, 2, made[1].time_ms)
        assert (await store.edits("ann", Page(9), 3)).items == (made[2], broken, made[0])
        assert await store.history("ann") == [made[0], broken, made[2]]
        assert await store.edit("ann", made[0].id) == made[0]
        with pytest.raises(UnreadableRecord) as raised:
            await store.edit("ann", made[1].id)
        assert (raised.value.edit_id, raised.value.revision) == (made[1].id, 2)
        with pytest.raises(UnreadableRecord):
            await store.edits_since("ann", 0, [t("dog", "HasA", "idea 1")])
        assert await store.edits_since("ann", 0, [t("dog", "HasA", "idea 2")]) == [made[2]]

    async def test_an_export_gives_all_that_can_be_read_and_then_says_what_cannot(
        self, store: GraphStore, courier: Courier
    ) -> None:
        made = [await add(store, "ann", t("dog", "HasA", f"idea {n}")) for n in range(3)]
        await self.damage(store, "ann", 2)
        lines: list[str] = []
        exported = await courier.export("ann")
        with pytest.raises(UnreadableRecord):
            for line in exported:
                lines.append(line)  # noqa: PERF402 (what came before the error counts)
        assert lines[1:] == [edit_to_json(made[0]), edit_to_json(made[2])]

    async def test_a_record_that_cannot_be_read_hinders_nobody_else(
        self, store: GraphStore
    ) -> None:
        for n in range(3):
            await add(store, "ann", t("dog", "HasA", f"idea {n}"))
        await self.damage(store, "ann", 2)
        for n in range(8):  # more often than a store has readers
            await store.edits("ann", Page(9), 3)
            with pytest.raises(UnreadableRecord):
                await store.edits_since("ann", 0, [t("dog", "HasA", "idea 1")])
            await add(store, "bob", t("dog", "HasA", f"bob's {n}"))
            assert (await store.snapshot("bob")).revision == n + 1
        await asyncio.gather(*(store.neighborhood("bob", DOG, 9) for _ in range(16)))
        revisions = await asyncio.gather(*(store.snapshot("bob") for _ in range(16)))
        assert {s.revision for s in revisions} == {8}
        await add(store, "ann", CARROTS)
        assert (await store.snapshot("ann")).revision == 4
        assert (await store.erase("ann")).edits == 4
        assert await store.history("ann") == []
