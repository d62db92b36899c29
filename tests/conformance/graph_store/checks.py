"""What a store says about itself."""

from __future__ import annotations

from server.tuning.ports import GraphStore
from tests.conformance.graph_store.suite import GraphStoreSuite


class Checks(GraphStoreSuite):
    """What a store says about itself."""

    async def test_it_says_that_it_is_well(self, store: GraphStore) -> None:
        await store.health()
