"""The use cases Export and Import: an overlay leaves as lines and comes back."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from server.errors import OverlayNotEmpty
from server.graph.checks import MAX_CHANGES
from server.graph.edit import Edit, EditKind, Scope
from server.graph.marks import Found, changes_to
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Triple
from server.tuning.edits import new_edit_id, next_edit, now_ms
from server.tuning.export_format import Export, export_lines, parse_export
from server.tuning.ports import GraphStore, Snapshot

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ImportCommand:
    """A checked export to take back.

    An empty overlay takes its history. Any other takes only what the export comes to, and only with
    `merge`.
    """

    user: str
    export: Export
    merge: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """The edits to commit, the revision that they reach, and how many edits the export holds.

    `merged`: the last edit of a merge, without an id if nothing changes; None for a history.
    """

    exported_edits: int
    revision: int
    edits: tuple[Edit, ...]
    merged: Edit | None = None

    @property
    def merged_edits(self) -> tuple[Edit, ...]:
        """The new edits of a merge."""
        return self.edits if self.merged else ()


class Courier:
    """Exports and imports overlays."""

    def __init__(
        self,
        store: GraphStore,
        vocabulary: Vocabulary,
        fingerprints: Callable[[], Mapping[str, str]],
    ) -> None:
        self._store = store
        self._vocabulary = vocabulary
        self._fingerprints = fingerprints
        # Checking a large import takes seconds, during which the event loop must serve others. One
        # thread checks them, one at a time.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="import")

    async def export(self, user: str) -> Iterator[str]:
        """The lines of the user's overlay at one revision."""
        return export_lines(await self._store.history(user), self._fingerprints())

    async def command(self, user: str, lines: Iterable[str], *, merge: bool) -> ImportCommand:
        """The command to import `lines`, which are iterated over twice. Raises MalformedExport."""
        export = await self._on_thread(parse_export, lines, self._vocabulary, merge)
        return ImportCommand(user, export, merge)

    async def propose_import(self, command: ImportCommand, snapshot: Snapshot) -> Imported:
        """Take the export's history into an empty overlay, or its net effect as new edits.

        Raises OverlayNotEmpty.
        """
        export = command.export
        count = len(export.edits)
        if snapshot.revision == 0 and export.is_history:
            return Imported(count, count, export.edits)
        if not command.merge:
            raise OverlayNotEmpty
        wanted = await self._on_thread(export.by_age)
        found = await self._found(command.user, [triple for triple, _ in wanted])
        scopes = await self._on_thread(export.scopes)
        net = await self._on_thread(net_edits, wanted, found, snapshot, scopes)
        last = net[-1] if net else next_edit(snapshot, EditKind.IMPORT, ())
        return Imported(count, last.revision, net, last)

    async def _on_thread(
        self,
        work: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        call = functools.partial(work, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def _found(self, user: str, triples: Sequence[Triple]) -> Found:
        """What the store knows of `triples`. It is asked in pieces, so that it can serve others."""
        found: dict[Triple, tuple[bool, Mark | None]] = {}
        for start in range(0, len(triples), MAX_CHANGES):
            found |= await self._store.find(user, triples[start : start + MAX_CHANGES])
        return found


def net_edits(
    wanted: Sequence[tuple[Triple, Mark]],
    found: Found,
    snapshot: Snapshot,
    scopes: Mapping[Triple, Scope],
) -> tuple[Edit, ...]:
    """Edits that give an overlay the marks in `wanted`, in this order.

    Each edit is of a size that RPCs make. `scopes`: what the triples answer.
    """
    origins = {triple: mark.origin for triple, mark in wanted}
    changing = [change.triple for change in changes_to(origins.items(), found, 1)]
    now = now_ms()
    edits: list[Edit] = []
    for start in range(0, len(changing), MAX_CHANGES):
        revision = snapshot.revision + len(edits) + 1
        part = [(triple, origins[triple]) for triple in changing[start : start + MAX_CHANGES]]
        changes = changes_to(part, found, revision, scopes=scopes)
        edits.append(Edit(new_edit_id(), revision, EditKind.IMPORT, now, changes))
    return tuple(edits)
