"""An overlay as JSON lines.

{"format":"kgt-overlay","version":1,"keys":2,"revision":2,"fingerprints":{...}}
{"id":...,"revision":1,...}                      one edit a line, oldest first (server.graph.codec)
{"edits":2,"sha256":"..."}                       for all lines before, each with its line end

An export without "keys" is older than KEYS_VERSION 2. Its edits are read as server.graph.rekeying
says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from server.errors import InvalidRequest, UnreadableRecord
from server.graph.checks import MAX_CHANGES, checked_edit
from server.graph.codec import MAX_EDIT_BYTES, NotJson, edit_from_json, edit_to_json, json_document
from server.graph.concept import KEYS_VERSION, legacy_concept
from server.graph.edit import (
    Edit,
    Overlay,
    OverlayBuilder,
    Scope,
    UnreadableEdit,
    scopes_by_mark,
)
from server.graph.rekeying import Rekeying
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Triple
from server.tuning.question import question_of

FORMAT = "kgt-overlay"
VERSION = 1
MAX_LINES = 100_000
MAX_BYTES = 64 << 20
MAX_TRIPLES = 200_000
"""What an import may hold. It is all in memory, and is committed in one transaction, for which all
other writes wait: about 0.1 ms for each edit."""
_MAX_FRAME_BYTES = 1 << 16
"""For a header or a footer."""


class MalformedExport(InvalidRequest):
    """Lines that are not the export of an overlay. The message repeats nothing of them."""

    reason = "MALFORMED_EXPORT"

    def __init__(self, line: int, description: str) -> None:
        super().__init__("lines", f"line {line}: {description}")


@dataclass(frozen=True, slots=True)
class Export:
    """A checked export: its edits, oldest first, and the overlay that they make.

    `is_history`: every edit is of a size that RPCs make, so that all of them can be kept as they
    are.
    """

    edits: tuple[Edit, ...]
    overlay: Overlay
    is_history: bool

    def by_age(self) -> list[tuple[Triple, Mark]]:
        """The overlay's marks, oldest first."""
        return sorted(self.overlay.marks.items(), key=lambda item: (item[1].stamp, item[0]))

    def scopes(self) -> dict[Triple, Scope]:
        """What the overlay's added triples answer.

        Many of them have to fit one edit. So their keys are left out, to be read again, and of a
        long text only what asks is kept.
        """
        said = scopes_by_mark(self.edits)
        found = {}
        for triple, mark in self.overlay.marks.items():
            if (scope := said.get((triple, mark.stamp))) is not None:
                asks = question_of(scope.query)
                found[triple] = replace(scope, query=asks, key=b"", fingerprint="")
        return found


# Writing


def export_lines(
    edits: Sequence[Edit | UnreadableEdit], fingerprints: Mapping[str, str]
) -> Iterator[str]:
    """Header, edits and footer, without line ends.

    If an edit cannot be read, the others are exported, and UnreadableRecord is raised in place of
    the footer.
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


# Reading


def parse_export(
    lines: Iterable[str],
    vocabulary: Vocabulary,
    merge: bool = False,
    most_triples: int | None = None,
) -> Export:
    """Check and read a whole export: format, count, hash, and that each edit follows from the last.

    `lines` are iterated over twice and not kept. With `merge`, edits may be larger than RPCs make
    them, as earlier versions could: only the overlay that they come to is taken. `most_triples`
    takes the place of MAX_TRIPLES. Raises MalformedExport.
    """
    frame = _checked_frame(lines)
    chain = _Chain(Rekeying() if frame.has_old_keys else None)
    edits: list[Edit] = []
    triples, is_history = 0, True
    limit = MAX_TRIPLES if most_triples is None else most_triples
    for number, line in _numbered(lines):
        if not frame.header < number < frame.footer:
            continue
        read = _edit(number, line, vocabulary, has_old_keys=frame.has_old_keys)
        if not (read.is_usual or merge):
            raise MalformedExport(
                number,
                f"is an edit of more than {MAX_CHANGES} triples or {MAX_EDIT_BYTES >> 20} MiB;"
                " set merge to take what the export comes to, without its history",
            )
        triples += len(read.edit.changes)
        if triples > limit:
            raise MalformedExport(
                number,
                f"is the one with which more than {limit} triples are changed in all",
            )
        edits.append(chain.go_on(number, read.written, read.edit))
        is_history = is_history and read.is_usual
    return Export(tuple(edits), chain.overlay(), is_history)


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines with text and their numbers, without line ends or a byte order mark."""
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        if number == 1:
            text = text.removeprefix("\ufeff")
        if text.strip():
            yield number, text


@dataclass(frozen=True, slots=True)
class _Frame:
    """The line numbers of header and footer, and whether the edits have keys of version 1."""

    header: int
    footer: int
    has_old_keys: bool


def _checked_frame(lines: Iterable[str]) -> _Frame:
    """The frame of an export whose header and footer fit what is between them."""
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
    _check_header(first[0], header)
    _check_footer(last[0], footer, count - 2, digest.hexdigest())
    return _Frame(first[0], last[0], has_old_keys="keys" not in header)


def _check_header(number: int, header: Mapping[str, Any]) -> None:
    if header.get("format") != FORMAT:
        raise MalformedExport(number, f'is not the header of a {FORMAT} export ("format")')
    if not _is_number(header.get("version"), VERSION):
        raise MalformedExport(number, f"has another format version; this server reads {VERSION}")
    if "keys" in header and not _is_number(header["keys"], KEYS_VERSION):
        raise MalformedExport(
            number, f"has another version of keys; this server reads {KEYS_VERSION}"
        )


def _check_footer(number: int, footer: Mapping[str, Any], edits: int, sha256: str) -> None:
    if not _is_number(footer.get("edits"), edits):
        raise MalformedExport(number, f"the footer does not count the {edits} edits that are there")
    if footer.get("sha256") != sha256:
        raise MalformedExport(number, "the hash does not match: the export was cut or changed")


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


@dataclass(frozen=True, slots=True)
class _ReadEdit:
    """An edit as it is written, as it would be stored, and whether an RPC could have made it."""

    written: Edit
    edit: Edit
    is_usual: bool


def _edit(number: int, line: str, vocabulary: Vocabulary, *, has_old_keys: bool) -> _ReadEdit:
    try:
        read = edit_from_json(line)
        if has_old_keys and not read.changes:  # only rekeyed logs hold such edits
            raise InvalidRequest("changes", "is empty")
        edit = checked_edit(read, vocabulary)
        written = edit_from_json(line, legacy_concept) if has_old_keys else read
    except InvalidRequest as error:
        raise MalformedExport(number, str(error)) from error
    is_usual = len(edit.changes) <= MAX_CHANGES and len(line.encode()) <= MAX_EDIT_BYTES
    return _ReadEdit(written, edit, is_usual)


class _Chain:
    """Edits each of which follows from those before, starting with an empty overlay."""

    def __init__(self, rekeying: Rekeying | None) -> None:
        self._builder = OverlayBuilder()
        self._rekeying = rekeying
        self._ids: set[str] = set()

    def go_on(self, number: int, written: Edit, edit: Edit) -> Edit:
        """Append the edit in line `number`. Returns it as it is in the log.

        Raises MalformedExport.
        """
        self._check_order(number, edit)
        if self._rekeying is not None:
            if not self._rekeying.fits(written, edit):
                raise MalformedExport(number, "does not start from where the edits before it end")
            edit = self._rekeying.rekeyed(written, edit)
        self._check_changes(number, edit)
        self._builder.apply(edit)
        self._ids.add(edit.id)
        return edit

    def _check_order(self, number: int, edit: Edit) -> None:
        if edit.revision != self._builder.revision + 1:
            raise MalformedExport(number, "does not have the revision after the one before it")
        if edit.id in self._ids:
            raise MalformedExport(number, "repeats the id of an earlier edit")
        if edit.reverts is not None and edit.reverts not in self._ids:
            raise MalformedExport(number, "reverts an edit that is not before it")

    def _check_changes(self, number: int, edit: Edit) -> None:
        if len({change.triple for change in edit.changes}) != len(edit.changes):
            raise MalformedExport(number, "changes one triple twice")
        if not self._builder.fits(edit):
            raise MalformedExport(number, "does not start from where the edits before it end")
        marks = [change.after for change in edit.changes if change.after is not None]
        if any(mark.stamp.revision > edit.revision for mark in marks):
            raise MalformedExport(number, "dates a change after itself")

    def overlay(self) -> Overlay:
        """The overlay after the last edit."""
        return self._builder.overlay()
