"""The log of edits, and the past that it can show."""

from __future__ import annotations

import pytest

from server.errors import UnknownEdit, UnknownRevision
from server.graph.codec import edit_to_json
from server.graph.edit import Change, Edit, EditKind, Scope
from server.tuning.ports import GraphStore, Page
from tests.conformance.graph_store.graph import CARROTS, DOG, MEAT, t
from tests.conformance.graph_store.steps import add, added, remove, tails
from tests.conformance.graph_store.suite import GraphStoreSuite


class History(GraphStoreSuite):
    """The log of edits, and the past that it can show."""

    async def test_at_revision_is_the_overlay_as_of_that_edit(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        await remove(store, "ann", MEAT)
        await add(store, "ann", t("Luna", "IsA", "cat"))
        await remove(store, "ann", CARROTS)

        async def desires(revision: int | None) -> list[str]:
            return tails(await store.neighborhood("ann", DOG, 9, revision), "Desires")

        assert await desires(0) == ["meat", "bones"]
        assert await desires(1) == ["carrots", "meat", "bones"]
        assert await desires(2) == ["carrots", "bones"]
        assert await desires(4) == await desires(None) == ["bones"]
        assert "luna" not in await store.look_up("ann", ["luna"], 2)
        assert "carrots" in await store.look_up("ann", ["carrots"], 3)
        assert (await store.look_up("ann", ["luna"], 3))["luna"].personal_triples == 1

    async def test_what_an_edit_was_learned_from_is_kept(self, store: GraphStore) -> None:
        said = "My dog likes carrots."
        scope = Scope(said, b"\x00\x3c", "keys", owned=True, answered=0.5)
        change = Change(CARROTS, None, added(1), scope=scope)
        learned = Edit("e-1", 1, EditKind.LEARN, 1, (change,), message=said)
        await store.commit("ann", await store.snapshot("ann"), [learned], None)
        assert await store.edit("ann", "e-1") == learned
        assert list(await store.history("ann")) == [learned]

    @pytest.mark.parametrize("revision", [-1, 2, 1 << 40])
    async def test_a_revision_never_reached_is_unknown(
        self, store: GraphStore, revision: int
    ) -> None:
        await add(store, "ann", CARROTS)
        with pytest.raises(UnknownRevision):
            await store.neighborhood("ann", DOG, 9, revision)

    async def test_edits_are_listed_newest_first_in_pages_pinned_to_a_revision(
        self, store: GraphStore
    ) -> None:
        for n in range(5):
            await add(store, "ann", t("dog", "HasA", f"idea {n}"))
        first = await store.edits("ann", Page(2), 5)
        await add(store, "ann", CARROTS)
        second = await store.edits("ann", Page(2, first.next_cursor), 5)
        last = await store.edits("ann", Page(2, second.next_cursor), 5)
        listed = [e.revision for page in (first, second, last) for e in page.items]
        assert listed == [5, 4, 3, 2, 1]
        assert last.next_cursor == ""

    async def test_an_unknown_or_foreign_edit_is_not_found(self, store: GraphStore) -> None:
        edit_id = (await add(store, "ann", CARROTS)).id
        assert (await store.edit("ann", edit_id)).id == edit_id
        for user, wanted in (("bob", edit_id), ("ann", "nope")):
            with pytest.raises(UnknownEdit):
                await store.edit(user, wanted)

    async def test_a_page_of_edits_ends_by_bytes_too_and_holds_at_least_one(
        self, store: GraphStore
    ) -> None:
        for n in range(4):
            await add(store, "ann", t("dog", "HasA", f"{n} " + "x" * 400))
        newest = (await store.history("ann"))[-1]
        assert isinstance(newest, Edit)
        size = len(edit_to_json(newest))
        for max_bytes, expected in ((1, [1, 1, 1, 1]), (size * 2 + 9, [2, 2]), (size * 9, [4])):
            counts, cursor = [], ""
            while True:
                page = await store.edits("ann", Page(50, cursor, max_bytes), 4)
                counts.append(len(page.items))
                if not (cursor := page.next_cursor):
                    break
            assert counts == expected
