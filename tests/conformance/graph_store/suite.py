"""What each topic of the suite builds on: a store, and two ways to damage what it has stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence

import pytest

from server.graph.triple import Triple
from server.tuning.ports import GraphStore
from server.tuning.transfer import Courier
from testbed.bases import BaseTriple
from tests.conformance.graph_store.graph import BASE, VOCABULARY

BROKEN_BODY = (
    '{"id":"x","revision":1,"kind":"facts","time_ms":1,"changes":[{"triple":["dog","","ball"]}]}'
)
"""A record with a relation that has no name. An earlier version of the service could write it."""


class GraphStoreSuite(ABC):
    """The fixtures of all topics, and what a store's own test class implements."""

    @abstractmethod
    async def opened(self, base: Sequence[BaseTriple]) -> GraphStore:
        """An empty store over `base`."""

    @abstractmethod
    async def damage(self, store: GraphStore, user: str, revision: int) -> None:
        """Replace a stored edit's record with `BROKEN_BODY`, behind the store's back."""

    @abstractmethod
    async def lose(self, store: GraphStore, user: str, triple: Triple) -> None:
        """Delete the mark that the user's overlay puts on `triple`, behind the store's back."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[GraphStore]:
        store = await self.opened(BASE)
        yield store
        await store.close()

    @pytest.fixture
    def courier(self, store: GraphStore) -> Courier:
        return Courier(store, VOCABULARY, lambda: {"model": "m"})
