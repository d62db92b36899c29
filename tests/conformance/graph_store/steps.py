"""The steps of a test: making edits, reverting and importing them, reading all pages."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from server.graph.edit import Change, Edit, EditKind, OverlayBuilder
from server.graph.neighborhood import Neighborhood
from server.graph.triple import Mark, Origin, Stamp, Triple, canonical
from server.tuning.history import Historian, RevertCommand, Reverted
from server.tuning.ports import GraphStore, Listing, Page
from server.tuning.transfer import Courier, Imported
from server.writing.turns import UserTurns
from server.writing.writes import Writes
from tests.conformance.graph_store.graph import VOCABULARY

Item = TypeVar("Item")


def added(revision: int, position: int = 0) -> Mark:
    return Mark(Origin.ADDED, Stamp(revision, position))


def edit(revision: int, *changes: Change) -> Edit:
    return Edit(uuid.uuid4().hex, revision, EditKind.FACTS, 1_700_000_000_000 + revision, changes)


async def commit(store: GraphStore, user: str, wanted: Sequence[tuple[Triple, Origin]]) -> Edit:
    """Commit one edit that adds or removes each triple, whatever the user had before."""
    snapshot = await store.snapshot(user)
    found = await store.find(user, [triple for triple, _ in wanted])
    changes = []
    for position, (triple, origin) in enumerate(wanted):
        in_base, before = found[triple]
        after: Mark | None = Mark(origin, Stamp(snapshot.revision + 1, position))
        if origin is Origin.REMOVED and not in_base:
            after = None
        changes.append(Change(canonical(triple, VOCABULARY), before, after))
    made = edit(snapshot.revision + 1, *changes)
    await store.commit(user, snapshot, [made], None)
    return made


async def add(store: GraphStore, user: str, *triples: Triple) -> Edit:
    return await commit(store, user, [(triple, Origin.ADDED) for triple in triples])


async def remove(store: GraphStore, user: str, *triples: Triple) -> Edit:
    return await commit(store, user, [(triple, Origin.REMOVED) for triple in triples])


async def revert(
    store: GraphStore, user: str, edit_id: str, *, skip_conflicts: bool = False
) -> Reverted:
    historian = Historian(store)
    command = RevertCommand(user, edit_id, skip_conflicts)
    return await Writes(store, UserTurns()).run(
        user, lambda snapshot: historian.propose_revert(command, snapshot)
    )


async def import_(
    store: GraphStore, user: str, lines: Sequence[str], *, merge: bool = False
) -> Imported:
    courier = Courier(store, VOCABULARY, dict)
    command = await courier.command(user, lines, merge=merge)
    return await Writes(store, UserTurns()).run(
        user, lambda snapshot: courier.propose_import(command, snapshot)
    )


async def every_page(read: Callable[[Page], Awaitable[Listing[Item]]], size: int) -> list[Item]:
    """The items of all pages, at most `size` a page."""
    items: list[Item] = []
    cursor = ""
    while True:
        listing = await read(Page(size, cursor))
        assert len(listing.items) <= size
        items += listing.items
        if not (cursor := listing.next_cursor):
            return items


def tails(view: Neighborhood, relation: str) -> list[str]:
    """The texts of the tails that a user sees, in the view's order."""
    return [v.triple.tail.text for v in view.slice(relation).triples]


def following_each_other(drawn: Sequence[Edit]) -> list[Edit]:
    """`drawn` as one log: numbered from 1, and each edit starts from where the last one ended."""
    log, edits = OverlayBuilder(), list[Edit]()
    for revision, one in enumerate(drawn, start=1):
        reverts = edits[-1].id if edits and one.reverts else None
        following = replace(
            one,
            id=f"{revision}-{one.id}",
            revision=revision,
            changes=_changes(one, revision, log.overlay().marks),
            reverts=reverts,
        )
        edits.append(following)
        log.apply(following)
    return edits


def _changes(drawn: Edit, revision: int, marks: Mapping[Triple, Mark]) -> tuple[Change, ...]:
    """The changes of `drawn` that change something when they start from `marks`."""
    changes = []
    for change in drawn.changes:
        after = change.after
        if after is not None:
            after = replace(after, stamp=replace(after.stamp, revision=revision))
        before = marks.get(change.triple)
        if before != after:
            changes.append(replace(change, before=before, after=after))
    return tuple(changes)
