"""Reading the base: neighborhoods, and what is known about a concept."""

from __future__ import annotations

from server.graph.concept import Concept
from server.graph.triple import Origin
from server.tuning.ports import GraphStore
from tests.conformance.graph_store.graph import BONES, DOG, HUB, MEAT, t
from tests.conformance.graph_store.suite import GraphStoreSuite


class Neighborhoods(GraphStoreSuite):
    """Reading the base: neighborhoods, and what is known about a concept."""

    async def test_a_neighborhood_has_the_base_heaviest_first(self, store: GraphStore) -> None:
        view = await store.neighborhood("ann", DOG, 50)
        assert [v.triple for v in view.slice("Desires").base] == [MEAT, BONES]
        first = view.slice("Desires").base[0]
        assert (first.weight, first.dataset, first.license) == (4.0, "/d/test", "cc0")
        assert first.origin is Origin.BASE
        assert view.revision == 0

    async def test_an_unknown_concept_has_an_empty_neighborhood(self, store: GraphStore) -> None:
        assert (await store.neighborhood("ann", Concept.of("unheard of"), 50)).slices == ()

    async def test_a_slice_is_cut_at_the_limit_and_counts_all(self, store: GraphStore) -> None:
        part = (await store.neighborhood("ann", Concept.of("hub"), 64)).slice("HasA")
        assert part.base_count == HUB
        assert [v.triple.tail.text for v in part.base] == [f"thing {n}" for n in range(64)]

    async def test_a_symmetric_statement_reads_from_both_ends(self, store: GraphStore) -> None:
        from_hot = await store.neighborhood("ann", Concept.of("hot"), 50)
        from_cold = await store.neighborhood("ann", Concept.of("cold"), 50)
        assert [v.triple for v in from_hot.slice("Antonym").base] == [t("hot", "Antonym", "cold")]
        assert [v.triple for v in from_cold.slice("Antonym").base] == [t("cold", "Antonym", "hot")]
        assert (await store.neighborhood("ann", Concept.of("warm"), 50)).count == 0
        assert (await store.neighborhood("ann", Concept.of("me"), 50)).slice("SimilarTo").count == 1

    async def test_concepts_are_looked_up_with_what_is_known_about_them(
        self, store: GraphStore
    ) -> None:
        found = await store.look_up("ann", ["dog", "dogs", "meat", "unheard of", "cold"])
        assert set(found) == {"dog", "dogs", "meat", "cold"}
        assert found["dog"].retrievable_triples == 24
        assert found["dogs"].forms_of == ("dog",)
        assert found["dogs"].retrievable_triples == 0, "FormOf is not a fact"
        assert found["cold"].retrievable_triples == 1, "read from the other end"
        assert all(entry.in_base and entry.personal_triples == 0 for entry in found.values())
