"""An overlay as JSON lines, out and in.

{"format":"kgt-overlay","version":1,"revision":2,"fingerprints":{...}}
{"id":...,"revision":1,...}                      an edit a line, oldest first (server.graph.codec)
{"edits":2,"sha256":"..."}                       of all the lines before, each with its line end
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from server.errors import InvalidRequest, OverlayNotEmpty, UnreadableRecord
from server.graph.codec import edit_from_json, edit_to_json
from server.graph.edit import Change, Edit, EditKind, Overlay, UnreadableEdit
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple, canonical
from server.tuning.ports import GraphStore, Snapshot
from server.tuning.writes import RequestKey, Write, Writer

FORMAT = "kgt-overlay"
VERSION = 1
MAX_LINES = 1_000_000
MAX_BYTES = 256 << 20


class MalformedExport(InvalidRequest):
    """Lines that are no export of an overlay."""

    reason = "MALFORMED_EXPORT"

    def __init__(self, line: int, description: str) -> None:
        super().__init__("lines", f"line {line}: {description}")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to: the number of edits it held, the revision reached, the net edit of a merge."""

    edits: int
    revision: int
    merged: Edit | None


class Courier:
    """Exports and imports overlays."""

    def __init__(
        self, store: GraphStore, vocabulary: Vocabulary, writer: Writer, fingerprints: Callable[[], Mapping[str, str]]
    ) -> None:
        self._store = store
        self._vocabulary = vocabulary
        self._writer = writer
        self._fingerprints = fingerprints

    async def export(self, user: str) -> Iterator[str]:
        """The lines of one revision of the user's overlay."""
        return export_lines(await self._store.history(user), self._fingerprints())

    async def import_(
        self, user: str, lines: Sequence[str], merge: bool, key: RequestKey | None, render: Callable[[Imported], bytes]
    ) -> bytes:
        """Take an export back: its history into an empty overlay, its net effect as one edit with `merge`.

        Raises MalformedExport before anything is written, and OverlayNotEmpty.
        """
        edits = parse_export(lines, self._vocabulary)

        async def compute(snapshot: Snapshot) -> Write:
            if snapshot.revision == 0:
                return Write(render(Imported(len(edits), len(edits), None)), edits)
            if not merge:
                raise OverlayNotEmpty
            net = await self._net_edit(user, snapshot, edits)
            return Write(render(Imported(len(edits), net.revision, net)), (net,) if net.changes else ())

        return await self._writer.run(user, key, None, compute)

    async def _net_edit(self, user: str, snapshot: Snapshot, edits: Sequence[Edit]) -> Edit:
        """One edit that gives this overlay the marks that the imported one ends with, in their order of age."""
        marks = replayed(edits).marks
        found = await self._store.find(user, list(marks))
        revision = snapshot.revision + 1
        changes: list[Change] = []
        for triple, mark in sorted(marks.items(), key=lambda item: (item[1].stamp, item[0])):
            in_base, present = found[triple]
            if present is not None and present.origin is mark.origin:
                continue
            if mark.origin is Origin.REMOVED and not in_base and present is None:
                continue
            changes.append(Change(triple, present, Mark(mark.origin, Stamp(revision, len(changes)))))
        return Edit(
            id=uuid.uuid4().hex if changes else "",
            revision=revision if changes else snapshot.revision,
            kind=EditKind.IMPORT,
            time_ms=time.time_ns() // 1_000_000,
            changes=tuple(changes),
        )


def export_lines(edits: Sequence[Edit | UnreadableEdit], fingerprints: Mapping[str, str]) -> Iterator[str]:
    """Header, edits and footer, without line ends.

    Raises UnreadableRecord in place of the footer when an edit could not be read: the others are exported before it.
    """
    unreadable = next((edit for edit in edits if isinstance(edit, UnreadableEdit)), None)
    readable = [edit for edit in edits if isinstance(edit, Edit)]
    digest = hashlib.sha256()
    header = {
        "format": FORMAT,
        "version": VERSION,
        "revision": edits[-1].revision if edits else 0,
        "fingerprints": dict(fingerprints),
    }
    for line in (json.dumps(header, sort_keys=True), *map(edit_to_json, readable)):
        digest.update(line.encode() + b"\n")
        yield line
    if unreadable is not None:
        raise UnreadableRecord(unreadable.id, unreadable.revision)
    yield json.dumps({"edits": len(edits), "sha256": digest.hexdigest()})


def parse_export(lines: Sequence[str], vocabulary: Vocabulary) -> tuple[Edit, ...]:
    """The edits of an export, wholly checked: format, count, hash, and that each edit follows from those before."""
    lines = [line for line in lines if line.strip()]
    if len(lines) < 2:
        raise MalformedExport(max(1, len(lines)), "an export has a header, edits and a footer")
    header = _document(lines[0], 1)
    if header.get("format") != FORMAT:
        raise MalformedExport(1, f'is no header of a {FORMAT} export ("format")')
    if header.get("version") != VERSION:
        raise MalformedExport(1, f"has format version {header.get('version')!r}; this server reads {VERSION}")
    footer = _document(lines[-1], len(lines))
    if footer.get("edits") != len(lines) - 2:
        raise MalformedExport(
            len(lines), f"the footer counts {footer.get('edits')!r} edits, there are {len(lines) - 2}"
        )
    digest = hashlib.sha256("".join(f"{line}\n" for line in lines[:-1]).encode()).hexdigest()
    if footer.get("sha256") != digest:
        raise MalformedExport(len(lines), "the hash does not match: the export was cut or changed")
    edits = tuple(_numbered(lines[1:-1], vocabulary))
    _require_chain(edits)
    return edits


def replayed(edits: Iterable[Edit]) -> Overlay:
    """The overlay that a log of edits makes."""
    overlay = Overlay()
    for edit in edits:
        overlay = overlay.with_edit(edit)
    return overlay


def _numbered(lines: Sequence[str], vocabulary: Vocabulary) -> Iterator[Edit]:
    for number, line in enumerate(lines, start=2):
        try:
            edit = edit_from_json(line)
        except InvalidRequest as error:
            raise MalformedExport(number, str(error)) from error
        yield replace(
            edit,
            changes=tuple(replace(c, triple=_stored(c.triple, vocabulary)) for c in edit.changes),
            relied_on=tuple(_stored(t, vocabulary) for t in edit.relied_on),
        )


def _stored(triple: Triple, vocabulary: Vocabulary) -> Triple:
    return canonical(replace(triple, relation=vocabulary.canonical_name(triple.relation)), vocabulary)


def _require_chain(edits: Sequence[Edit]) -> None:
    overlay, ids = Overlay(), set()
    for number, edit in enumerate(edits, start=2):
        if edit.revision != overlay.revision + 1:
            raise MalformedExport(number, f"has revision {edit.revision} after {overlay.revision}")
        if edit.id in ids:
            raise MalformedExport(number, "repeats the id of an earlier edit")
        if edit.reverts is not None and edit.reverts not in ids:
            raise MalformedExport(number, "reverts an edit that is not before it")
        if not edit.changes or len({c.triple for c in edit.changes}) != len(edit.changes):
            raise MalformedExport(number, "changes nothing, or one triple twice")
        for change in edit.changes:
            if overlay.marks.get(change.triple) != change.before:
                raise MalformedExport(number, "does not start from where the edits before it end")
            if change.after is not None and change.after.stamp.revision > edit.revision:
                raise MalformedExport(number, "dates a change after itself")
        overlay = overlay.with_edit(edit)
        ids.add(edit.id)


def _document(line: str, number: int) -> Mapping[str, Any]:
    try:
        document = json.loads(line)
    except json.JSONDecodeError as error:
        raise MalformedExport(number, f"is not JSON: {error.msg}") from error
    if not isinstance(document, dict):
        raise MalformedExport(number, "is not a JSON object")
    return document
