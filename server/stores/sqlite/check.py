"""Checks whether an embedded store is whole: its files, and each overlay against its log of edits.

Users are read one by one, each in a short transaction, so that a running server is not held up. A
check goes on past all damage, and names users by their revision only.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from server.errors import DataLoss, KgtError
from server.graph.edit import Edit, UnreadableEdit
from server.graph.triple import Mark, Triple
from server.stores.rules.logs import OVERLAY_DIFFERS, checked_log, of_user
from server.stores.rules.records import read_edit
from server.stores.sqlite import rows, sql
from server.stores.sqlite.base import BASE_FILE, BaseReader
from server.stores.sqlite.connection import connect, reading, translated
from server.stores.sqlite.migrations import missing, prepare_overlays
from server.tuning.ports import StoreCounts

OVERLAYS_FILE = "overlays.db"
_TIMEOUT_S = 5.0


def check_folder(folder: Path) -> tuple[list[str], StoreCounts]:
    """What is wrong with the store in `folder`, a line for each problem, and how much it holds.

    An older store is brought up to date first. The store may be too damaged to be opened.
    """
    base, overlays = folder / BASE_FILE, folder / OVERLAYS_FILE
    if not folder.is_dir():
        return [f"{folder} is not a folder (KGT_DATA)"], StoreCounts()
    problems = check_base(base)
    try:
        with translated():
            if overlays.exists():
                prepare_overlays(overlays)
                problems += check_overlays(overlays)
            elif problem := missing(overlays):
                problems.append(problem)
    except KgtError as error:
        problems.append(str(error))
    return problems, counts_in(folder)


def check_base(path: Path) -> list[str]:
    """What is wrong with a base's file, in one line. A missing file is not wrong."""
    try:
        with translated(), contextlib.closing(BaseReader(path)) as base:
            found = base.integrity()
    except KgtError as error:
        return [str(error)]
    return (
        []
        if found == "ok"
        else [f"{path.name} is damaged ({_one_line(found)}); load the base again"]
    )


def check_overlays(path: Path) -> list[str]:
    """What is wrong with an overlays' file, a line for each problem. Raises StoreBusy."""
    with translated(), contextlib.closing(connect(path, _TIMEOUT_S)) as connection:
        found = connection.execute(sql.INTEGRITY).fetchone()[0]
        problems = [] if found == "ok" else [f"the file is damaged: {_one_line(found)}"]
        try:
            users = connection.execute(sql.ALL_USERS).fetchall()
        except sqlite3.DatabaseError as error:
            return [*problems, f"the users cannot be read: {_one_line(str(error))}"]
        for user, _, revision in users:
            problems += of_user(revision, _user(connection, user))
        return problems


def counts_in(folder: Path) -> StoreCounts:
    """How much the store in `folder` holds. A missing or unreadable file counts as empty."""
    concepts, triples = _counts_of_base(folder / BASE_FILE)
    users, edits = _counts_of_overlays(folder / OVERLAYS_FILE)
    return StoreCounts(concepts, triples, users, edits)


def _counts_of_base(path: Path) -> tuple[int, int]:
    try:
        with translated(), contextlib.closing(BaseReader(path)) as reader:
            counts = reader.counts()
    except KgtError:
        return 0, 0
    return counts.concepts, counts.edges


def _counts_of_overlays(path: Path) -> tuple[int, int]:
    if not path.exists():
        return 0, 0
    try:
        with translated(), contextlib.closing(connect(path, _TIMEOUT_S)) as connection:
            users = connection.execute(sql.COUNT_USERS).fetchone()[0]
            edits = connection.execute(sql.COUNT_EDITS).fetchone()[0]
    except KgtError:
        return 0, 0
    return users, edits


def _user(connection: sqlite3.Connection, user: object) -> list[str]:
    """What is wrong with one user."""
    try:
        kept = _Kept(connection, user)
        return list(_problems(kept)) if kept.revision is not None else []
    except sqlite3.DatabaseError as error:
        return [f"what is kept cannot be read: {_one_line(str(error))}"]
    except DataLoss as error:
        return [str(error)]


class _Kept:
    """All that is kept about a user at one moment. `revision` is None once the user is erased."""

    def __init__(self, connection: sqlite3.Connection, user: object) -> None:
        with reading(connection):
            place = connection.execute(sql.GET_USER, (user,)).fetchall()
            edits = connection.execute(sql.EDITS_ALL, (user,)).fetchall()
            marks = connection.execute(sql.ALL_MARKS, {"user": user}).fetchall()
            touches = connection.execute(sql.CHECKED_TOUCHES, (user,)).fetchall()
        self.marks: Sequence[rows.Row] = marks
        self.touches: Sequence[rows.Row] = touches
        self.revision: Any = place[0][1] if place else None
        self.edits = [read_edit(*row) for row in edits]

    def readable_edits(self) -> list[Edit]:
        return [edit for edit in self.edits if isinstance(edit, Edit)]

    def readable_touches(self) -> set[rows.Row]:
        """The index of changes, without those of edits that cannot be read."""
        unreadable = {e.revision for e in self.edits if isinstance(e, UnreadableEdit)}
        return {row for row in self.touches if row[3] not in unreadable}


def _problems(kept: _Kept) -> Iterator[str]:
    log = checked_log(kept.edits, kept.revision, lambda edit: rows.indexed(edit, kept.touches))
    yield from log.problems
    if log.overlay is not None and set(kept.marks) != _as_rows(log.overlay.marks):
        yield OVERLAY_DIFFERS
    if kept.readable_touches() != {row for e in kept.readable_edits() for row in rows.touches(e)}:
        yield "the index of changes is not what the log makes"


def _as_rows(marks: Mapping[Triple, Mark]) -> set[rows.Row]:
    return {(*rows.columns(triple), *rows.mark_columns(mark)) for triple, mark in marks.items()}


def _one_line(text: str) -> str:
    return " ".join(text.split())
