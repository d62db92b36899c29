"""Exporting an overlay and importing it into another."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.errors import OverlayNotEmpty
from server.graph.edit import Change, Edit, Overlay, OverlayBuilder, Scope, scopes_by_mark
from server.graph.triple import Origin, Triple
from server.stores.rules.view import newest_first
from server.tuning.ports import GraphStore, Page
from server.tuning.transfer import Courier
from tests.conformance.graph_store.graph import BONES, CARROTS, DOG, MEAT, SOFA, t
from tests.conformance.graph_store.steps import (
    add,
    added,
    edit,
    every_page,
    following_each_other,
    import_,
    remove,
    revert,
)
from tests.conformance.graph_store.suite import GraphStoreSuite
from tests.graph import edits as strategies


class Transfer(GraphStoreSuite):
    """Exporting an overlay and importing it into another."""

    async def test_an_export_comes_back_into_an_empty_overlay_with_its_history(
        self, store: GraphStore, courier: Courier
    ) -> None:
        await add(store, "ann", CARROTS, t("Zoë", "is named", 'Zo "Z" ë'))
        made = await remove(store, "ann", MEAT)
        await revert(store, "ann", made.id)
        lines = list(await courier.export("ann"))
        imported = await import_(store, "bob", lines)
        assert (imported.exported_edits, imported.revision, imported.merged) == (3, 3, None)
        assert await store.history("bob") == await store.history("ann")
        assert list(await courier.export("bob")) == lines
        ann_sees = await store.neighborhood("ann", DOG, 9)
        assert list(await store.neighborhood("bob", DOG, 9)) == list(ann_sees)
        at_first = await store.neighborhood("bob", DOG, 9, 1)
        assert [v.triple.tail.text for v in at_first.slice("Desires").personal] == ["carrots"]

    async def test_an_import_into_a_used_overlay_needs_merge_and_is_one_net_edit(
        self, store: GraphStore, courier: Courier
    ) -> None:
        await add(store, "ann", CARROTS, SOFA)
        await remove(store, "ann", MEAT)
        await remove(store, "ann", SOFA)
        lines = list(await courier.export("ann"))
        await add(store, "bob", BONES)
        with pytest.raises(OverlayNotEmpty):
            await import_(store, "bob", lines)
        imported = await import_(store, "bob", lines, merge=True)
        assert imported.merged is not None
        assert imported.revision == 2
        assert {c.triple for c in imported.merged.changes} == {CARROTS, MEAT}
        view = await store.neighborhood("bob", DOG, 9)
        assert [v.triple for v in view.slice("Desires").triples] == [CARROTS, BONES]
        assert view.find(SOFA) is None

    async def test_what_facts_answer_comes_along_and_a_merge_leaves_the_keys_to_be_read_again(
        self, store: GraphStore, courier: Courier
    ) -> None:
        scope = Scope("What does my dog like?", strategies.packed_key([3, 4]), "f", True, 0.5)
        changes = (Change(CARROTS, None, added(1), scope=scope), Change(SOFA, None, added(1, 1)))
        await store.commit("ann", await store.snapshot("ann"), [edit(1, *changes)], None)
        lines = list(await courier.export("ann"))
        await import_(store, "bob", lines)
        await add(store, "cy", BONES)
        await import_(store, "cy", lines, merge=True)
        assert await scopes_of(store, "bob") == {CARROTS: scope}
        assert await scopes_of(store, "cy") == {CARROTS: replace(scope, key=b"", fingerprint="")}

    # All examples share one store, and each has users of its own. The users of one example go
    # side by side, because erasing one takes Neo4j seconds.
    @settings(max_examples=5, deadline=None, suppress_health_check=[*HealthCheck])
    @given(
        drawn=st.lists(st.lists(strategies.edits, min_size=1, max_size=3), min_size=5, max_size=5)
    )
    async def test_any_edits_survive(
        self, store: GraphStore, courier: Courier, drawn: Sequence[Sequence[Edit]]
    ) -> None:
        await asyncio.gather(
            *(assert_survival(store, courier, following_each_other(edits)) for edits in drawn)
        )


async def assert_survival(store: GraphStore, courier: Courier, edits: Sequence[Edit]) -> None:
    """The edits of a new user are shown, exported, imported by another user, and erased."""
    user = uuid.uuid4().hex
    begun = await store.snapshot(user)
    for number, made in enumerate(edits):
        at = replace(await store.snapshot(user), revision=number)
        await store.commit(user, at, [made], None)
    assert (await store.snapshot(user)).overlay_id != begun.overlay_id
    assert await store.history(user) == edits
    assert (await store.edits(user, Page(9), len(edits))).items == tuple(reversed(edits))
    log = OverlayBuilder()
    for made in edits:
        assert await store.edit(user, made.id) == made
        log.apply(made)
        await assert_overlay_at(store, user, log.overlay())
    assert (await store.overlay(user)).marks == log.overlay().marks
    lines = list(await courier.export(user))
    await import_(store, user + "2", lines)
    assert await store.history(user + "2") == edits
    erased = await asyncio.gather(store.erase(user), store.erase(user + "2"))
    for each, result in zip((user, user + "2"), erased, strict=True):
        assert result.edits == len(edits)
        assert await store.history(each) == []


async def scopes_of(store: GraphStore, user: str) -> dict[Triple, Scope]:
    """What the user's triples answer, as far as their edits say it."""
    log = await store.history(user)
    scopes = scopes_by_mark(made for made in log if isinstance(made, Edit))
    return {triple: scope for (triple, _), scope in scopes.items()}


async def assert_overlay_at(store: GraphStore, user: str, overlay: Overlay) -> None:
    """The store shows `overlay` at its revision: all marks by age, and what they add by head."""
    at = overlay.revision
    marks = newest_first(overlay.marks)
    facts = await every_page(lambda page: store.personal_facts(user, page, at), 2)
    assert [(fact.triple, fact.mark) for fact in facts] == marks
    added = {triple for triple, mark in marks if mark.origin is Origin.ADDED}
    for head in {triple.head for triple, _ in marks}:
        view = await store.neighborhood(user, head, 9, at)
        own = {viewed.triple for viewed in view}
        assert {triple for triple in added if triple.head == head} <= own
