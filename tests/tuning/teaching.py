"""How tests give users facts: as an answer to a query, or told as triples; and take them back."""

from __future__ import annotations

from collections.abc import Iterable

from server.graph.edit import Edit, EditKind, Scope
from server.graph.marks import changes_to
from server.graph.relation import Vocabulary
from server.graph.triple import Origin, Triple, canonical
from server.tuning.edits import next_edit
from server.tuning.history import Historian, RevertCommand
from server.tuning.ports import GraphStore

VOCABULARY = Vocabulary.built_in()


async def taught(store: GraphStore, user: str, triple: Triple, scope: Scope) -> Edit:
    """One triple more, as an answer to the scope's query."""
    return await _committed(store, user, [(triple, Origin.ADDED)], scope)


async def told(store: GraphStore, user: str, *triples: Triple) -> Edit:
    """Triples more, as EditFacts adds them."""
    return await _committed(store, user, [(triple, Origin.ADDED) for triple in triples])


async def untold(store: GraphStore, user: str, *triples: Triple) -> Edit:
    """Triples less, as EditFacts removes them."""
    return await _committed(store, user, [(triple, Origin.REMOVED) for triple in triples])


async def reverted(store: GraphStore, user: str, edit: Edit) -> Edit:
    """The edit taken back."""
    snapshot = await store.snapshot(user)
    revert = (await Historian(store).propose_revert(RevertCommand(user, edit.id), snapshot)).edit
    await store.commit(user, snapshot, [revert], None)
    return revert


async def _committed(
    store: GraphStore,
    user: str,
    wanted: Iterable[tuple[Triple, Origin]],
    scope: Scope | None = None,
) -> Edit:
    origins = {canonical(triple, VOCABULARY): origin for triple, origin in wanted}
    snapshot = await store.snapshot(user)
    found = await store.find(user, list(origins))
    scopes = dict.fromkeys(origins, scope) if scope is not None else {}
    revision = snapshot.revision + 1
    changes = changes_to(origins.items(), found, revision, renew=True, scopes=scopes)
    kind = EditKind.FACTS if scope is None else EditKind.PERSONALIZE
    edit = next_edit(snapshot, kind, changes)
    await store.commit(user, snapshot, [edit], None)
    return edit
