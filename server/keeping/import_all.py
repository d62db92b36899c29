"""Takes all users of such a file into a store.

An overlay keeps its id and its edits. So what an earlier import brought is known and left as it is,
a repetition brings only what is new, and a tombstone counts in every store that an overlay was
brought to.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from server.errors import CopyRefused, DataLoss, OverlayErased, RevisionMoved, UnknownEdit
from server.graph.edit import Edit
from server.graph.relation import Vocabulary
from server.keeping.erased import all_tombstones
from server.keeping.everyone import End, Skipped, UserBlock, parts
from server.tuning.export_format import MalformedExport, parse_export
from server.tuning.ports import GraphStore, Snapshot, Tombstone

_EDITS = 200
"""How many edits are committed at a time."""
IMPORTED, PRESENT, ERASED = "imported", "already there", "erased since"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the user whose lines end with `line`. `problem`: why nothing was imported."""

    line: int
    result: str = ""
    problem: str = ""


async def import_all(
    store: GraphStore, vocabulary: Vocabulary, path: Path
) -> AsyncIterator[Outcome]:
    """Take the users of a whole file into the store, and say of each what became of it.

    The base graph should be there already: it names the relations. Users are committed one by one.
    A user with another overlay in the store, or with other edits in the same one, is left as they
    are. The erased overlays of the store and of the file are left out, and erased where they are in
    the store, also those of users who are erased meanwhile. Raises CopyRefused before anything is
    written if the file is not whole.
    """
    tombstones = _checked(path)
    erased = {tombstone.overlay_id for tombstone in tombstones}
    async for tombstone in all_tombstones(store):
        erased.add(tombstone.overlay_id)
    came: set[str] = set()
    for part, line, _ in parts(path):
        if isinstance(part, UserBlock):
            came.add(part.overlay_id)
            if part.overlay_id in erased:
                yield Outcome(line, ERASED)
            else:
                yield await _imported(store, vocabulary, part, line)
        elif isinstance(part, Skipped):
            problem = f"edit {part.skipped} (revision {part.revision}) could not be read"
            yield Outcome(line, problem=f"the user was left out of the export: {problem}")
    tombstones += [t async for t in all_tombstones(store) if t.overlay_id in came]
    if tombstones:
        await store.bury(tombstones)


def _checked(path: Path) -> list[Tombstone]:
    """The erased overlays at the end of a file that is whole. Raises CopyRefused."""
    tombstones: list[Tombstone] = []
    counts: Counter[type] = Counter()
    end: End | None = None
    for part, line, _ in parts(path):
        if end is not None:
            raise CopyRefused(f"{path}: line {line} is behind the end")
        counts[type(part)] += 1
        if isinstance(part, Tombstone):
            tombstones.append(part)
        elif isinstance(part, End):
            end = part
    if end is None:
        raise CopyRefused(f"{path} has no end; repeat the export, which goes on where it stopped")
    if end != End(counts[UserBlock], counts[Skipped], counts[Tombstone]):
        raise CopyRefused(f"{path} lacks some of its users; make the export again")
    return tombstones


async def _imported(
    store: GraphStore, vocabulary: Vocabulary, block: UserBlock, line: int
) -> Outcome:
    """Commit what the store lacks of a user."""
    try:
        edits = parse_export(block.lines, vocabulary, True, sys.maxsize).edits
    except MalformedExport as error:
        return Outcome(line, problem=f"the overlay cannot be read: {error}")
    try:
        snapshot = await store.snapshot(block.user)
        if snapshot.revision and not await _goes_on(store, block, snapshot, edits):
            return Outcome(line, problem="the store has other edits of this user, which stay")
        rest = edits[snapshot.revision :]
        for start in range(0, len(rest), _EDITS):
            some = rest[start : start + _EDITS]
            await store.commit(block.user, snapshot, some, None, block.overlay_id)
            snapshot = Snapshot(some[-1].revision, block.overlay_id)
    except (RevisionMoved, OverlayErased):
        return Outcome(line, problem="the user was written to meanwhile; repeat the import")
    except DataLoss as error:
        return Outcome(line, problem=str(error))
    return Outcome(line, IMPORTED if rest else PRESENT)


async def _goes_on(
    store: GraphStore, block: UserBlock, snapshot: Snapshot, edits: tuple[Edit, ...]
) -> bool:
    """Whether the user's edits in the store begin like those of the file, or the other way."""
    if snapshot.overlay_id != block.overlay_id:
        return False
    last = edits[min(snapshot.revision, len(edits)) - 1]
    try:
        return (await store.edit(block.user, last.id)).revision == last.revision
    except UnknownEdit:
        return False
