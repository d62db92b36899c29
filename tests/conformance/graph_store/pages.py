"""Listings that are read page by page."""

from __future__ import annotations

import pytest

from server.errors import KgtError, UnknownPageToken
from server.graph.concept import Concept
from server.graph.triple import Origin
from server.tuning.ports import GraphStore, Page
from tests.conformance.graph_store.graph import CARROTS, DOG, HUB, MEAT, t
from tests.conformance.graph_store.steps import add, every_page, remove
from tests.conformance.graph_store.suite import GraphStoreSuite

FORGED = ["x", "1.x.y", "1.٣.1.HasA", "-1", "1e3", "9" * 400, "[7]", '["x"]', '["HasA", 0, 1]']
"""Cursors that no listing gave out."""


class Pages(GraphStoreSuite):
    """Listings that are read page by page."""

    async def test_facts_are_all_that_a_user_changed_newest_first(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        await remove(store, "ann", MEAT)
        first = await store.personal_facts("ann", Page(1), 2)
        assert [(f.triple, f.mark.origin) for f in first.items] == [(MEAT, Origin.REMOVED)]
        rest = await store.personal_facts("ann", Page(5, first.next_cursor), 2)
        assert [(f.triple, f.mark.origin) for f in rest.items] == [(CARROTS, Origin.ADDED)]
        history = await store.history("ann")
        assert rest.items[0].edit_id == history[0].id
        before = await store.personal_facts("ann", Page(5), 1)
        assert [f.triple for f in before.items] == [CARROTS]

    async def test_a_neighborhood_is_paged_whole_and_once(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        await remove(store, "ann", MEAT)
        await remove(store, "ann", t("dog", "HasA", "part 3"))
        seen = await every_page(lambda page: store.page_neighborhood("ann", DOG, page, 3), 4)
        assert [v.origin for v in seen[:3]] == [Origin.REMOVED, Origin.REMOVED, Origin.ADDED]
        assert len(seen) == len({v.triple for v in seen}) == 25
        whole = await store.neighborhood("ann", DOG, 99)
        visible = {v.triple for v in seen if v.origin is not Origin.REMOVED}
        assert visible == {v.triple for v in whole}

    async def test_a_hub_is_paged_to_its_end(self, store: GraphStore) -> None:
        hub = Concept.of("hub")
        await remove(store, "ann", *(t("hub", "HasA", f"thing {n}") for n in range(0, 1000, 2)))
        seen = await every_page(lambda page: store.page_neighborhood("ann", hub, page, 1), 500)
        tails = [v.triple.tail.text for v in seen if v.origin is Origin.BASE]
        assert len(tails) == len(set(tails)) == HUB - 500

    async def test_facts_are_paged_whole_and_once(self, store: GraphStore) -> None:
        ideas = [t("dog", "HasA", f"idea {n}") for n in range(25)]
        await add(store, "ann", *ideas)
        await remove(store, "ann", MEAT)
        for at, count in ((1, 25), (2, 26)):
            facts = await every_page(
                lambda page, at=at: store.personal_facts("ann", page, at),  # type: ignore[misc]
                7,
            )
            seen = [fact.triple for fact in facts]
            assert len(seen) == len(set(seen)) == count
            assert seen[-1] == ideas[0]

    @pytest.mark.parametrize("cursor", FORGED)
    async def test_a_forged_cursor_is_unknown_or_a_place(
        self, store: GraphStore, cursor: str
    ) -> None:
        await add(store, "ann", CARROTS)
        for call in (
            store.edits("ann", Page(9, cursor), 1),
            store.page_neighborhood("ann", DOG, Page(9, cursor), 1),
            store.personal_facts("ann", Page(9, cursor), 1),
        ):
            try:
                await call
            except KgtError as error:
                assert isinstance(error, UnknownPageToken)
