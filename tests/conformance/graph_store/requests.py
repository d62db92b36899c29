"""Responses that are kept, so that a repeated request is answered once."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from server.errors import OverlayErased, RevisionMoved, StoreBusy
from server.graph.edit import Change
from server.tuning.ports import GraphStore, RequestRecord
from tests.conformance.graph_store.graph import CARROTS, SOFA
from tests.conformance.graph_store.steps import add, added, edit
from tests.conformance.graph_store.suite import GraphStoreSuite


class Requests(GraphStoreSuite):
    """Responses that are kept, so that a repeated request is answered once."""

    async def test_a_repeated_request_id_finds_the_first_response(self, store: GraphStore) -> None:
        record = RequestRecord("r-1", "hash", b"\x00response")
        made = edit(1, Change(SOFA, None, added(1)))
        await store.commit("ann", await store.snapshot("ann"), [made], record)
        assert await store.response("ann", "r-1") == record
        assert await store.response("ann", "r-2") is None
        assert await store.response("bob", "r-1") is None

    async def test_a_response_is_kept_without_an_edit(self, store: GraphStore) -> None:
        begun = await store.snapshot("ann")
        record = RequestRecord("r-1", "hash", b"nothing changed")
        await store.commit("ann", begun, [], record)
        assert await store.response("ann", "r-1") == record
        assert await store.response("bob", "r-1") is None
        assert await store.snapshot("ann") == begun, "neither an overlay nor a revision"
        assert await store.history("ann") == []
        await add(store, "ann", CARROTS)
        with pytest.raises(RevisionMoved):
            await store.commit("ann", begun, [], RequestRecord("r-2", "hash", b""))
        assert await store.response("ann", "r-2") is None
        await store.commit(
            "ann", await store.snapshot("ann"), [], RequestRecord("r-3", "hash", b"\x00")
        )
        assert (await store.snapshot("ann")).revision == 1
        assert (await store.erase("ann")).stored_responses == 2
        assert await store.response("ann", "r-1") is None
        with pytest.raises(OverlayErased):
            await store.commit("ann", begun, [], RequestRecord("r-4", "hash", b""))

    async def test_the_newest_responses_without_an_edit_are_kept(
        self, store: GraphStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in modules_that_import("KEPT_RESPONSES"):
            monkeypatch.setattr(module, "KEPT_RESPONSES", 3)
        for n in range(5):
            record = RequestRecord(f"r-{n}", "hash", b"")
            await store.commit("ann", await store.snapshot("ann"), [], record)
        responses = [await store.response("ann", f"r-{n}") for n in range(5)]
        assert [n for n in range(5) if responses[n] is not None] == [2, 3, 4]

    async def test_a_request_id_is_answered_once(self, store: GraphStore) -> None:
        record = RequestRecord("r-1", "hash", b"first")
        await store.commit("ann", await store.snapshot("ann"), [], record)
        later = RequestRecord("r-1", "hash", b"later")
        for edits in ([], [edit(1, Change(SOFA, None, added(1)))]):
            with pytest.raises(StoreBusy, match="repeat it"):
                await store.commit("ann", await store.snapshot("ann"), edits, later)
        assert await store.response("ann", "r-1") == record
        assert (await store.snapshot("ann")).revision == 0


def modules_that_import(name: str) -> list[ModuleType]:
    """The modules of all stores that hold a constant: a store may read it wherever it likes."""
    stores = [module for path, module in sys.modules.items() if path.startswith("server.stores.")]
    return [module for module in stores if hasattr(module, name)]
