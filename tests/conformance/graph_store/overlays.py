"""What a user adds or removes, and who sees it."""

from __future__ import annotations

import pytest

from server.graph.concept import Concept
from server.graph.triple import Mark, Origin, Stamp
from server.tuning.ports import GraphStore, Page
from tests.conformance.graph_store.graph import BONES, CARROTS, DOG, MEAT, SOFA, UNICODE, t
from tests.conformance.graph_store.steps import add, remove, tails
from tests.conformance.graph_store.suite import GraphStoreSuite


class Overlays(GraphStoreSuite):
    """What a user adds or removes, and who sees it."""

    async def test_a_write_is_read_back_at_once(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        view = await store.neighborhood("ann", DOG, 50)
        assert [v.triple for v in view.slice("Desires").triples] == [CARROTS, MEAT, BONES]
        assert view.slice("Desires").personal[0].stamp == Stamp(1, 0)
        assert view.revision == 1

    async def test_users_do_not_see_each_other(self, store: GraphStore) -> None:
        await add(store, "ann", t("dog", "Desires", "ann's secret"))
        await remove(store, "ann", MEAT)
        for user in ("bob", "Ann", "ann ", "an", "%", "ann' OR '1'='1"):
            view = await store.neighborhood(user, DOG, 50)
            assert [v.triple for v in view.slice("Desires").triples] == [MEAT, BONES]
            assert await store.look_up(user, ["ann's secret"]) == {}
            assert (await store.personal_facts(user, Page(50), 0)).items == ()
            assert await store.history(user) == []
            assert (await store.snapshot(user)).revision == 0

    async def test_removing_hides_from_that_user_and_leaves_the_base(
        self, store: GraphStore
    ) -> None:
        fingerprint = store.base_fingerprint
        await remove(store, "ann", MEAT)
        view = await store.neighborhood("ann", DOG, 50)
        assert [v.triple for v in view.slice("Desires").triples] == [BONES]
        assert view.slice("Desires").base_count == 1
        assert (await store.neighborhood("bob", DOG, 50)).find(MEAT) is not None
        assert store.base_fingerprint == fingerprint

    async def test_add_after_remove_and_remove_after_add(self, store: GraphStore) -> None:
        await remove(store, "ann", MEAT)
        await add(store, "ann", MEAT)
        seen = (await store.neighborhood("ann", DOG, 50)).find(MEAT)
        assert seen is not None
        assert (seen.origin, seen.in_base) == (Origin.ADDED, True)
        assert (await store.neighborhood("ann", DOG, 50)).slice("Desires").count == 2
        await remove(store, "ann", MEAT)
        assert (await store.neighborhood("ann", DOG, 50)).find(MEAT) is None
        await add(store, "ann", CARROTS)
        await remove(store, "ann", CARROTS)
        assert (await store.neighborhood("ann", DOG, 50)).find(CARROTS) is None
        assert await store.look_up("ann", ["carrots"]) == {}, "nobody knows it anymore"

    async def test_a_personal_concept_is_known_to_its_user_only(self, store: GraphStore) -> None:
        await add(store, "ann", t("Veldonia", "has the capital", "Port Mira"))
        found = await store.look_up("ann", ["veldonia", "port mira"])
        assert found["veldonia"].concept.text == "Veldonia"
        assert (found["veldonia"].in_base, found["veldonia"].personal_triples) == (False, 1)
        assert found["port mira"].personal_triples == 0
        assert await store.look_up("bob", ["veldonia", "port mira"]) == {}

    async def test_a_symmetric_edit_counts_at_both_ends(self, store: GraphStore) -> None:
        await remove(store, "ann", t("cold", "Antonym", "hot"))
        await add(store, "ann", t("hot", "Antonym", "freezing"))
        assert tails(await store.neighborhood("ann", Concept.of("hot"), 9), "Antonym") == [
            "freezing"
        ]
        assert (await store.neighborhood("ann", Concept.of("cold"), 9)).count == 0
        at_other_end = await store.neighborhood("ann", Concept.of("freezing"), 9)
        assert [v.triple for v in at_other_end] == [t("freezing", "Antonym", "hot")]

    async def test_find_says_what_base_and_overlay_have(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        await remove(store, "ann", MEAT)
        found = await store.find("ann", [CARROTS, MEAT, BONES, SOFA])
        assert found[CARROTS] == (False, Mark(Origin.ADDED, Stamp(1, 0)))
        assert found[MEAT] == (True, Mark(Origin.REMOVED, Stamp(2, 0)))
        assert found[BONES] == (True, None)
        assert found[SOFA] == (False, None)

    @pytest.mark.parametrize("text", UNICODE)
    async def test_any_text_is_kept_as_it_is(self, store: GraphStore, text: str) -> None:
        await add(store, text, t(text, "personal " + text[:9], f"{text}!"))
        view = await store.neighborhood(text, Concept.of(text), 9)
        (viewed,) = (v for v in view if v.is_personal)
        assert viewed.triple.tail.text == f"{text}!"
        assert viewed.triple.relation == "personal " + text[:9]
        assert view.slice("IsA").count == 1
        (fact,) = (await store.personal_facts(text, Page(9), 1)).items
        assert fact.triple.head.text == text

    async def test_concepts_as_long_as_they_may_be_are_kept(self, store: GraphStore) -> None:
        long = t("ﷺ" * 170, "IsA", "ﷺ" * 169 + "x")
        await add(store, "ann", long)
        (viewed,) = await store.neighborhood("ann", long.head, 9)
        assert viewed.triple == long
        keys = [long.head.key, long.tail.key]
        assert set(await store.look_up("ann", keys)) == set(keys)
