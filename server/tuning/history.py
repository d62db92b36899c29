"""Edits without the model: direct ones, and undoing."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass

from server.errors import InvalidRequest, RevertBlocked
from server.graph.edit import Change, Edit, EditKind
from server.graph.marks import changes_to
from server.graph.relation import Vocabulary
from server.graph.triple import Origin, Triple, canonical
from server.tuning.ports import GraphStore, Snapshot
from server.tuning.writes import RequestKey, Write, Writer


@dataclass(frozen=True, slots=True)
class Skipped:
    """A triple that a revert left as it is, and the edits because of which."""

    triple: Triple
    edit_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reverted:
    """The edit that reverts, and what it left out. Without an id where all was left out."""

    edit: Edit
    skipped: tuple[Skipped, ...]


class Historian:
    """Edits a user's overlay directly, and reverts edits."""

    def __init__(self, store: GraphStore, vocabulary: Vocabulary, writer: Writer) -> None:
        self._store = store
        self._vocabulary = vocabulary
        self._writer = writer

    async def edit_facts(
        self,
        user: str,
        add: Sequence[Triple],
        remove: Sequence[Triple],
        expected_revision: int | None,
        key: RequestKey | None,
        render: Callable[[Edit], bytes],
    ) -> bytes:
        """Add and remove triples. What is so already stays as it is; an edit without an id changed
        nothing.

        Raises InvalidRequest when a triple is to be both added and removed.
        """
        adding = list(dict.fromkeys(canonical(t, self._vocabulary) for t in add))
        removing = list(dict.fromkeys(canonical(t, self._vocabulary) for t in remove))
        if set(adding) & set(removing):
            raise InvalidRequest("remove", "names a triple that `add` names too")

        async def compute(snapshot: Snapshot) -> Write:
            wanted = [
                *((t, Origin.ADDED) for t in adding),
                *((t, Origin.REMOVED) for t in removing),
            ]
            found = await self._store.find(user, [*adding, *removing])
            changes = changes_to(wanted, found, snapshot.revision + 1)
            edit = _edit(snapshot, EditKind.FACTS, changes)
            return Write(render(edit), (edit,) if changes else ())

        return await self._writer.run(user, key, expected_revision, compute)

    async def revert(
        self,
        user: str,
        edit_id: str,
        skip_conflicts: bool,
        key: RequestKey | None,
        render: Callable[[Reverted], bytes],
    ) -> bytes:
        """Restore the state that each of the edit's triples had before it, age included, as a new
        edit.

        An edit that is reverted already: the first revert. Raises UnknownEdit, and RevertBlocked
        when later edits changed or relied on its triples and `skip_conflicts` is not set.
        """

        async def compute(snapshot: Snapshot) -> Write:
            edit = await self._store.edit(user, edit_id)
            reverted = standing_reverts(await self._store.reverts(user))
            if (earlier := reverted.get(edit_id)) is not None:
                return Write(render(Reverted(await self._store.edit(user, earlier), ())), ())
            skipped = await self._conflicts(user, edit, reverted)
            if skipped and not skip_conflicts:
                raise RevertBlocked(list(dict.fromkeys(i for s in skipped for i in s.edit_ids)))
            left_out = {s.triple for s in skipped}
            changes = tuple(
                Change(c.triple, c.after, c.before)
                for c in reversed(edit.changes)
                if c.triple not in left_out
            )
            revert = _edit(snapshot, EditKind.REVERT, changes, reverts=edit_id)
            return Write(render(Reverted(revert, tuple(skipped))), (revert,) if changes else ())

        return await self._writer.run(user, key, None, compute)

    async def _conflicts(self, user: str, edit: Edit, reverted: Container[str]) -> list[Skipped]:
        """The edit's triples that later edits changed, unless they were put back, or that standing
        ones rely on."""
        triples = [c.triple for c in edit.changes]
        later = await self._store.edits_since(user, edit.revision, triples)
        touching = _ids_by_triple(later, lambda e: (*(c.triple for c in e.changes), *e.relied_on))
        relying = _ids_by_triple((e for e in later if e.id not in reverted), lambda e: e.relied_on)
        found = await self._store.find(user, triples)
        skipped = []
        for change in edit.changes:
            changed = found[change.triple][1] != change.after
            blocking = (touching if changed else relying).get(change.triple, ())
            if changed or blocking:
                skipped.append(Skipped(change.triple, tuple(blocking)))
        return skipped


def standing_reverts(reverts: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Of each edit that is reverted now the id of the revert, from (revert, reverted) pairs, oldest
    first.

    A revert stands unless a standing one reverts it. Those are later, so going backwards each is
    decided when it is met.
    """
    standing: dict[str, str] = {}
    for revert, reverted in reversed(reverts):
        if revert not in standing:
            standing.setdefault(reverted, revert)
    return standing


def _ids_by_triple(
    edits: Iterable[Edit], triples_of: Callable[[Edit], Iterable[Triple]]
) -> dict[Triple, list[str]]:
    """Of each triple the ids of the edits that have it, in their order."""
    ids: dict[Triple, list[str]] = {}
    for edit in edits:
        for triple in dict.fromkeys(triples_of(edit)):
            ids.setdefault(triple, []).append(edit.id)
    return ids


def _edit(
    snapshot: Snapshot, kind: EditKind, changes: tuple[Change, ...], reverts: str | None = None
) -> Edit:
    return Edit(
        id=uuid.uuid4().hex if changes else "",
        revision=snapshot.revision + (1 if changes else 0),
        kind=kind,
        time_ms=time.time_ns() // 1_000_000,
        changes=changes,
        reverts=reverts,
    )
