"""An overlay as JSON lines, out and in.

{"format":"kgt-overlay","version":1,"keys":2,"revision":2,"fingerprints":{...}}
{"id":...,"revision":1,...}                      an edit a line, oldest first (server.graph.codec)
{"edits":2,"sha256":"..."}                       of all the lines before, each with its line end

An export without "keys" is from before KEYS_VERSION 2; its log is taken as server.graph.rekeying
says.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from server.errors import InvalidRequest, OverlayNotEmpty, UnreadableRecord
from server.graph.checks import MAX_CHANGES, checked_edit
from server.graph.codec import (
    MAX_EDIT_BYTES,
    NotJson,
    edit_from_json,
    edit_to_json,
    json_document,
)
from server.graph.concept import KEYS_VERSION, legacy_concept
from server.graph.edit import Edit, EditKind, Overlay, OverlayBuilder, UnreadableEdit
from server.graph.marks import Found, changes_to
from server.graph.rekeying import Rekeying
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Triple
from server.tuning.ports import GraphStore, Snapshot

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

FORMAT = "kgt-overlay"
VERSION = 1
MAX_LINES = 100_000
MAX_BYTES = 64 << 20
MAX_TRIPLES = 200_000
"""What an import may hold. It is committed in one transaction, for which all other writes wait:
about 0.1 ms an edit. All of it is in memory meanwhile."""
_MAX_FRAME_BYTES = 1 << 16
"""Of a header or a footer."""


class MalformedExport(InvalidRequest):
    """Lines that are no export of an overlay. The message repeats nothing of them."""

    reason = "MALFORMED_EXPORT"

    def __init__(self, line: int, description: str) -> None:
        super().__init__("lines", f"line {line}: {description}")


@dataclass(frozen=True, slots=True)
class Export:
    """An export that was checked: its edits, oldest first, and the overlay that they make.

    `is_history` says whether each edit is of a size that RPCs make, so that all of them can be kept
    as they are.
    """

    edits: tuple[Edit, ...]
    overlay: Overlay
    is_history: bool

    def by_age(self) -> list[tuple[Triple, Mark]]:
        """The overlay's marks, oldest first."""
        return sorted(self.overlay.marks.items(), key=lambda item: (item[1].stamp, item[0]))


@dataclass(frozen=True, slots=True)
class ImportCommand:
    """An export to take back: its history into an empty overlay, or what it comes to (`merge`)."""

    user: str
    export: Export
    merge: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to: how many edits the export holds, and the revision reached.

    `merged` is the last edit of a merge (without an id where nothing changed), None for a history.
    """

    exported_edits: int
    revision: int
    edits: tuple[Edit, ...]
    merged: Edit | None = None

    @property
    def merged_edits(self) -> tuple[Edit, ...]:
        """The edits that a merge made."""
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
        # Checking a large import takes seconds, and the event loop serves everybody: a thread for
        # them, one at a time.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="import")

    async def export(self, user: str) -> Iterator[str]:
        """The lines of one revision of the user's overlay."""
        return export_lines(await self._store.history(user), self._fingerprints())

    async def command(self, user: str, lines: Iterable[str], *, merge: bool) -> ImportCommand:
        """The command to import `lines`, which are read twice. Raises MalformedExport."""
        export = await self._on_thread(parse_export, lines, self._vocabulary, merge)
        return ImportCommand(user, export, merge)

    async def propose_import(self, command: ImportCommand, snapshot: Snapshot) -> Imported:
        """The history of an export, for an empty overlay; else, with `merge`, its net effect as new
        edits.

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
        net = await self._on_thread(net_edits, wanted, found, snapshot)
        last = net[-1] if net else _no_edit(snapshot)
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
        """What the store says of `triples`, asked in pieces, between which it serves others."""
        found: dict[Triple, tuple[bool, Mark | None]] = {}
        for start in range(0, len(triples), MAX_CHANGES):
            found |= await self._store.find(user, triples[start : start + MAX_CHANGES])
        return found


def net_edits(
    wanted: Sequence[tuple[Triple, Mark]], found: Found, snapshot: Snapshot
) -> tuple[Edit, ...]:
    """Edits that give an overlay the marks `wanted`, in this order, each of a size that RPCs make."""
    origins = {triple: mark.origin for triple, mark in wanted}
    changing = [change.triple for change in changes_to(origins.items(), found, 1)]
    now = _now_ms()
    edits: list[Edit] = []
    for start in range(0, len(changing), MAX_CHANGES):
        revision = snapshot.revision + len(edits) + 1
        part = [(triple, origins[triple]) for triple in changing[start : start + MAX_CHANGES]]
        changes = changes_to(part, found, revision)
        edits.append(Edit(uuid.uuid4().hex, revision, EditKind.IMPORT, now, changes))
    return tuple(edits)


def _no_edit(snapshot: Snapshot) -> Edit:
    return Edit("", snapshot.revision, EditKind.IMPORT, _now_ms(), ())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def export_lines(
    edits: Sequence[Edit | UnreadableEdit], fingerprints: Mapping[str, str]
) -> Iterator[str]:
    """Header, edits and footer, without line ends.

    Raises UnreadableRecord in place of the footer when an edit could not be read: the others are
    exported before it.
    """
    unreadable = next((edit for edit in edits if isinstance(edit, UnreadableEdit)), None)
    readable = [edit for edit in edits if isinstance(edit, Edit)]
    digest = hashlib.sha256()
    header = {
        "format": FORMAT,
        "version": VERSION,
        "keys": KEYS_VERSION,
        "revision": edits[-1].revision if edits else 0,
        "fingerprints": dict(fingerprints),
    }
    for line in (json.dumps(header, sort_keys=True), *map(edit_to_json, readable)):
        digest.update(line.encode() + b"\n")
        yield line
    if unreadable is not None:
        raise UnreadableRecord(unreadable.id, unreadable.revision)
    yield json.dumps({"edits": len(edits), "sha256": digest.hexdigest()})


def parse_export(lines: Iterable[str], vocabulary: Vocabulary, merge: bool = False) -> Export:
    """An export, wholly checked: format, count, hash, and that each edit follows from those before.

    `lines` are gone through twice and not kept. With `merge`, edits may be larger than RPCs make
    them, as those of earlier versions were: only what they come to is taken then. Raises
    MalformedExport.
    """
    header, footer, has_old_keys = _checked_frame(lines)
    chain = _Chain(Rekeying() if has_old_keys else None)
    edits: list[Edit] = []
    triples, is_history = 0, True
    for number, line in _numbered(lines):
        if header < number < footer:
            written, edit, usual = _edit(number, line, vocabulary, has_old_keys=has_old_keys)
            if not (usual or merge):
                raise MalformedExport(
                    number,
                    f"is an edit of more than {MAX_CHANGES} triples or {MAX_EDIT_BYTES >> 20} MiB;"
                    " set merge to take what the export comes to, without its history",
                )
            triples += len(edit.changes)
            if triples > MAX_TRIPLES:
                raise MalformedExport(
                    number,
                    f"is the one with which more than {MAX_TRIPLES} triples are changed in all",
                )
            edits.append(chain.go_on(number, written, edit))
            is_history = is_history and usual
    return Export(tuple(edits), chain.overlay(), is_history)


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines with text and their numbers, without line ends and a byte order mark."""
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        if number == 1:
            text = text.removeprefix("\ufeff")
        if text.strip():
            yield number, text


def _checked_frame(lines: Iterable[str]) -> tuple[int, int, bool]:
    """The numbers of header and footer, which say what stands between them, and whether that has
    keys of version 1."""
    digest = hashlib.sha256()
    first: tuple[int, str] | None = None
    last: tuple[int, str] | None = None
    count = 0
    for numbered in _numbered(lines):
        if last is not None:
            digest.update(last[1].encode("utf-8", "surrogatepass") + b"\n")
        first, last, count = first or numbered, numbered, count + 1
    if first is None or last is None or count < 2:
        raise MalformedExport(last[0] if last else 1, "an export has a header, edits and a footer")
    header, footer = _document(*first), _document(*last)
    if header.get("format") != FORMAT:
        raise MalformedExport(first[0], f'is not the header of a {FORMAT} export ("format")')
    if not _is_number(header.get("version"), VERSION):
        raise MalformedExport(first[0], f"has another format version; this server reads {VERSION}")
    if not ("keys" not in header or _is_number(header["keys"], KEYS_VERSION)):
        raise MalformedExport(
            first[0], f"has another version of keys; this server reads {KEYS_VERSION}"
        )
    if not _is_number(footer.get("edits"), count - 2):
        raise MalformedExport(
            last[0], f"the footer does not count the {count - 2} edits that are there"
        )
    if footer.get("sha256") != digest.hexdigest():
        raise MalformedExport(last[0], "the hash does not match: the export was cut or changed")
    return first[0], last[0], "keys" not in header


def _is_number(value: object, expected: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value == expected


def _document(number: int, line: str) -> Mapping[str, Any]:
    if len(line) > _MAX_FRAME_BYTES:
        raise MalformedExport(number, "is too long for a header or a footer")
    try:
        document = json_document(line)
    except NotJson as error:
        raise MalformedExport(number, str(error)) from error
    if not isinstance(document, dict):
        raise MalformedExport(number, "is not a JSON object")
    return document


def _edit(
    number: int, line: str, vocabulary: Vocabulary, *, has_old_keys: bool
) -> tuple[Edit, Edit, bool]:
    """The edit in a line as it is written and as it would be stored, and whether it is of a size
    that RPCs make."""
    try:
        read = edit_from_json(line)
        if has_old_keys and not read.changes:  # only rekeyed logs hold such edits
            raise InvalidRequest("changes", "is empty")
        edit = checked_edit(read, vocabulary)
        written = edit_from_json(line, legacy_concept) if has_old_keys else read
    except InvalidRequest as error:
        raise MalformedExport(number, str(error)) from error
    return written, edit, len(edit.changes) <= MAX_CHANGES and len(line.encode()) <= MAX_EDIT_BYTES


class _Chain:
    """Edits that follow from each other, from an empty overlay on."""

    def __init__(self, rekeying: Rekeying | None) -> None:
        self._builder = OverlayBuilder()
        self._rekeying = rekeying
        self._ids: set[str] = set()

    def go_on(self, number: int, written: Edit, edit: Edit) -> Edit:
        """Append the edit of line `number`, and return it as it is in the log. Raises
        MalformedExport."""
        if edit.revision != self._builder.revision + 1:
            raise MalformedExport(number, "does not have the revision after the one before it")
        if edit.id in self._ids:
            raise MalformedExport(number, "repeats the id of an earlier edit")
        if edit.reverts is not None and edit.reverts not in self._ids:
            raise MalformedExport(number, "reverts an edit that is not before it")
        if self._rekeying is not None:
            if not self._rekeying.fits(written, edit):
                raise MalformedExport(number, "does not start from where the edits before it end")
            edit = self._rekeying.rekeyed(written, edit)
        if len({change.triple for change in edit.changes}) != len(edit.changes):
            raise MalformedExport(number, "changes one triple twice")
        if not self._builder.fits(edit):
            raise MalformedExport(number, "does not start from where the edits before it end")
        if any(
            c.after is not None and c.after.stamp.revision > edit.revision for c in edit.changes
        ):
            raise MalformedExport(number, "dates a change after itself")
        self._builder.apply(edit)
        self._ids.add(edit.id)
        return edit

    def overlay(self) -> Overlay:
        return self._builder.overlay()
