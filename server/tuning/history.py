"""The use cases that need no model: direct edits, and reverting an edit."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass

from server.errors import InvalidRequest, RevertBlocked
from server.graph.edit import Change, Edit, EditKind
from server.graph.marks import changes_to
from server.graph.relation import Vocabulary
from server.graph.triple import Origin, Triple, canonical
from server.tuning.edits import next_edit
from server.tuning.ports import GraphStore, Snapshot


@dataclass(frozen=True, slots=True)
class EditFactsCommand:
    """The triples to add and to remove, in canonical form."""

    user: str
    add: tuple[Triple, ...]
    remove: tuple[Triple, ...]

    @classmethod
    def of(
        cls,
        user: str,
        vocabulary: Vocabulary,
        add: Iterable[Triple] = (),
        remove: Iterable[Triple] = (),
    ) -> EditFactsCommand:
        """The command for these triples, without duplicates.

        Raises InvalidRequest if a triple is to be both added and removed.
        """
        adding = tuple(dict.fromkeys(canonical(triple, vocabulary) for triple in add))
        removing = tuple(dict.fromkeys(canonical(triple, vocabulary) for triple in remove))
        if set(adding) & set(removing):
            raise InvalidRequest("remove", "names a triple that `add` names too")
        return cls(user, adding, removing)


@dataclass(frozen=True, slots=True)
class EditFactsOutcome:
    """The edit that adds and removes. It has no id if nothing changes."""

    edit: Edit

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What is to be committed."""
        return (self.edit,) if self.edit.id else ()


@dataclass(frozen=True, slots=True)
class RevertCommand:
    """The edit to revert, and whether to skip the triples that later edits changed or relied on."""

    user: str
    edit_id: str
    skip_conflicts: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """A triple that a revert leaves as it is, and the edits that stand in the way."""

    triple: Triple
    edit_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reverted:
    """The edit that reverts, and what it skips. It has no id if it skips everything.

    `is_earlier`: the edit had been reverted before, and this is that revert.
    """

    edit: Edit
    skipped: tuple[Skipped, ...] = ()
    is_earlier: bool = False

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What is to be committed."""
        return () if self.is_earlier or not self.edit.id else (self.edit,)


class Historian:
    """Edits a user's overlay directly, and reverts edits."""

    def __init__(self, store: GraphStore) -> None:
        self._store = store

    async def propose_edit(self, command: EditFactsCommand, snapshot: Snapshot) -> EditFactsOutcome:
        """Add and remove triples. Nothing changes for those that are already as wanted."""
        wanted = [
            *((triple, Origin.ADDED) for triple in command.add),
            *((triple, Origin.REMOVED) for triple in command.remove),
        ]
        found = await self._store.find(command.user, [triple for triple, _ in wanted])
        changes = changes_to(wanted, found, snapshot.revision + 1)
        return EditFactsOutcome(next_edit(snapshot, EditKind.FACTS, changes))

    async def propose_revert(self, command: RevertCommand, snapshot: Snapshot) -> Reverted:
        """Restore the state that each of the edit's triples had before it, including its age.

        An edit that is reverted already is not reverted again. Raises UnknownEdit, and
        RevertBlocked if later edits changed or relied on its triples and `skip_conflicts` is not
        set.
        """
        user = command.user
        edit = await self._store.edit(user, command.edit_id)
        reverted = standing_reverts(await self._store.reverts(user))
        if (earlier := reverted.get(edit.id)) is not None:
            return Reverted(await self._store.edit(user, earlier), is_earlier=True)
        skipped = await self._conflicts(user, edit, reverted)
        if skipped and not command.skip_conflicts:
            raise RevertBlocked(list(dict.fromkeys(i for s in skipped for i in s.edit_ids)))
        left_out = {s.triple for s in skipped}
        changes = tuple(
            Change(change.triple, change.after, change.before)
            for change in reversed(edit.changes)
            if change.triple not in left_out
        )
        revert = next_edit(snapshot, EditKind.REVERT, changes, reverts=edit.id)
        return Reverted(revert, tuple(skipped))

    async def _conflicts(self, user: str, edit: Edit, reverted: Container[str]) -> list[Skipped]:
        """The edit's triples that are in the way of a revert.

        Later edits changed them and did not put them back, or edits that still stand rely on them.
        """
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
    """The reverts that stand, by the id of the edit that each of them reverted.

    `reverts` are (revert, reverted) pairs, oldest first. A revert stands unless a later one that
    stands reverts it. So going backwards, each pair is decided when it is met.
    """
    standing: dict[str, str] = {}
    for revert, reverted in reversed(reverts):
        if revert not in standing:
            standing.setdefault(reverted, revert)
    return standing


def _ids_by_triple(
    edits: Iterable[Edit], triples_of: Callable[[Edit], Iterable[Triple]]
) -> dict[Triple, list[str]]:
    """The ids of the edits that have a triple, by triple, in the order of `edits`."""
    ids: dict[Triple, list[str]] = {}
    for edit in edits:
        for triple in dict.fromkeys(triples_of(edit)):
            ids.setdefault(triple, []).append(edit.id)
    return ids
