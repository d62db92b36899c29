"""GraphStore on SQLite: the embedded default, with nothing to set up.

The base is one read-only file (sqlite_base.py); this is the overlays' file. One thread writes; several read, each over
its own connections. Every commit is one transaction with `synchronous = FULL`, so that what was acknowledged is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import secrets
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from server.errors import (
    DataLoss,
    Internal,
    KgtError,
    OverlayErased,
    RevisionMoved,
    StoreBusy,
    StoreFull,
    StoreUnusable,
    UnknownEdit,
    UnknownRevision,
)
from server.graph.codec import edit_to_json
from server.graph.concept import Concept
from server.graph.edit import Edit, Overlay, UnreadableEdit
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple, canonical
from server.stores import sql
from server.stores.migrations import prepare_overlays
from server.stores.records import all_readable, read_edit, readable
from server.stores.sqlite_base import BASE_FILE, BaseReader, file_identity, transaction
from server.stores.view import assemble_neighborhood, erase_digest, erasure_bucket, newest_first, seen_from
from server.tuning.ports import (
    KEPT_ERASURES_S,
    KEPT_RESPONSES,
    ConceptEntry,
    Erased,
    Listing,
    Page,
    PersonalFact,
    RequestRecord,
    Snapshot,
)

OVERLAYS_FILE = "overlays.db"
_READERS = 4
_BUSY_TIMEOUT_S = 5.0
_UNNAMED = "none:"
_OWN, _BASE = 0, 1
"""The sections of a paged neighborhood, first in a cursor."""

P = ParamSpec("P")
R = TypeVar("R")


def data_folder() -> Path:
    """Where the store lives unless KGT_DATA says otherwise."""
    if given := os.environ.get("KGT_DATA"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME", "~/.local/share")).expanduser() / "kgt"


class SqliteStore:
    """A GraphStore in one folder. `":memory:"` is a folder of its own that `close` removes."""

    def __init__(self, folder: str | Path, vocabulary: Vocabulary) -> None:
        """Open or create. Raises StoreUnusable."""
        self._temporary = str(folder) == ":memory:"
        self.folder = Path(tempfile.mkdtemp(prefix="kgt-")) if self._temporary else Path(folder)
        self._vocabulary = vocabulary
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            prepare_overlays(self.folder / OVERLAYS_FILE)
        except (OSError, sqlite3.Error) as error:
            raise StoreUnusable(f"the store at {self.folder} cannot be opened: {error}") from error
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-write")
        self._sessions: queue.SimpleQueue[_Session] = queue.SimpleQueue()
        self._local = threading.local()
        self._fingerprint = self._on_this_thread(lambda s: s.base().fingerprint)

    # The port

    @property
    def base_fingerprint(self) -> str:
        return self._fingerprint

    async def snapshot(self, user: str) -> Snapshot:
        return await self._read(lambda s: s.snapshot(user))

    async def look_up(
        self, user: str, keys: Sequence[str], at_revision: int | None = None
    ) -> Mapping[str, ConceptEntry]:
        return await self._read(lambda s: s.look_up(user, keys, at_revision))

    async def neighborhood(self, user: str, head: Concept, limit: int, at_revision: int | None = None) -> Neighborhood:
        return await self._read(lambda s: s.neighborhood(user, head, limit, at_revision))

    async def page_neighborhood(self, user: str, head: Concept, page: Page, at_revision: int) -> Listing[ViewedTriple]:
        return await self._read(lambda s: s.page_neighborhood(user, head, page, at_revision))

    async def find(self, user: str, triples: Sequence[Triple]) -> Mapping[Triple, tuple[bool, Mark | None]]:
        return await self._read(lambda s: s.find(user, triples))

    async def facts(self, user: str, page: Page, at_revision: int) -> Listing[PersonalFact]:
        return await self._read(lambda s: s.facts(user, page, at_revision))

    async def edits(self, user: str, page: Page, at_revision: int) -> Listing[Edit | UnreadableEdit]:
        return await self._read(lambda s: s.edits(user, page, at_revision))

    async def edit(self, user: str, edit_id: str) -> Edit:
        return await self._read(lambda s: s.edit(user, edit_id))

    async def edits_since(self, user: str, revision: int, triples: Sequence[Triple]) -> Sequence[Edit]:
        return await self._read(lambda s: s.edits_since(user, revision, triples))

    async def reverts(self, user: str) -> Sequence[tuple[str, str]]:
        return await self._read(lambda s: s.reverts(user))

    async def history(self, user: str) -> Sequence[Edit | UnreadableEdit]:
        return await self._read(lambda s: s.stored_edits(sql.EDITS_ALL, user))

    async def overlay(self, user: str) -> Overlay:
        return await self._read(lambda s: s.overlay(user))

    async def response(self, user: str, request_id: str) -> RequestRecord | None:
        return await self._read(lambda s: s.response(user, request_id))

    async def commit(self, user: str, snapshot: Snapshot, edits: Sequence[Edit], request: RequestRecord | None) -> None:
        await self._write(lambda s: s.commit(user, snapshot, edits, request))

    async def erase(self, user: str, request_id: str | None = None) -> Erased:
        return await self._write(lambda s: s.erase(user, request_id))

    async def health(self) -> None:
        await self._read(lambda s: s.health())

    async def close(self) -> None:
        await asyncio.to_thread(self.close_now)

    # Beyond the port

    def close_now(self) -> None:
        """Finish what is under way and close all files. Does nothing twice."""
        self._writer.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        while not self._sessions.empty():
            self._sessions.get().close()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def check(self) -> list[str]:
        """Rebuild every user's overlay from the log of edits and compare; what differs, in words."""
        return self._on_this_thread(lambda s: s.check())

    def counts(self) -> dict[str, int]:
        """Users and edits, concepts and triples of the base."""
        return self._on_this_thread(lambda s: s.counts())

    # Threads

    async def _read(self, work: Callable[[_Session], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._on_this_thread, work)

    async def _write(self, work: Callable[[_Session], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._on_this_thread, work)

    def _on_this_thread(self, work: Callable[[_Session], R]) -> R:
        session: _Session | None = getattr(self._local, "session", None)
        with _translated():
            if session is None:
                session = _Session(self.folder, self._vocabulary)
                self._local.session = session
                self._sessions.put(session)
            result = work(session)
            self._fingerprint = session.base().fingerprint
            return result


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """SQLite's errors as this service's."""
    try:
        yield
    except KgtError:
        raise
    except sqlite3.DatabaseError as error:
        raise _translation(error) from error
    except OSError as error:
        raise StoreBusy(f"the store's files cannot be reached: {error.strerror}") from error


def _translation(error: sqlite3.DatabaseError) -> KgtError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy("the store is locked by another process; try again")
    if code == sqlite3.SQLITE_FULL:
        return StoreFull("the disk that holds the store is full; free some room and try again", retry_after_s=10.0)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DataLoss("the store's file is damaged; stop the server and run `python -m server check`")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM):
        return StoreBusy(f"the store's file cannot be used now ({error}); check the disk and its permissions")
    return Internal(f"the store failed ({type(error).__name__})")


class _Session:
    """One thread's connections, and all that is done over them."""

    def __init__(self, folder: Path, vocabulary: Vocabulary) -> None:
        self._folder = folder
        self._vocabulary = vocabulary
        self._base: BaseReader | None = None
        self._db = sqlite3.connect(
            folder / OVERLAYS_FILE, isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_S
        )
        self._db.executescript(sql.CONNECTION_PRAGMAS)

    def close(self) -> None:
        self._db.close()
        if self._base is not None:
            self._base.close()

    def base(self) -> BaseReader:
        """The base as it is now: a loader may have swapped the file."""
        path = self._folder / BASE_FILE
        if self._base is None or self._base.identity != file_identity(path):
            if self._base is not None:
                self._base.close()
            self._base = BaseReader(path)
        return self._base

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """All reads inside see one moment."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")

    def health(self) -> None:
        self._db.execute(sql.COUNT_USERS).fetchone()
        self.base()

    # Where an overlay stands

    def snapshot(self, user: str) -> Snapshot:
        row = self._db.execute(sql.GET_USER, (user,)).fetchone()
        if row is not None:
            return Snapshot(row[1], row[0])
        return Snapshot(0, self._unnamed_id(user))

    def _unnamed_id(self, user: str) -> str:
        """The overlay id of a user without any edit: a new one after each erase."""
        epoch = self._db.execute(sql.GET_EPOCH, (erasure_bucket(user),)).fetchone()
        return f"{_UNNAMED}{epoch[0] if epoch else 0}"

    def _revision(self, user: str, at_revision: int | None) -> tuple[int, int]:
        """(revision to read, latest revision). Raises UnknownRevision."""
        latest = self.snapshot(user).revision
        if at_revision is not None and not 0 <= at_revision <= latest:
            raise UnknownRevision(at_revision, latest)
        return (latest if at_revision is None else at_revision), latest

    # Concepts and neighborhoods

    def look_up(self, user: str, keys: Sequence[str], at_revision: int | None) -> dict[str, ConceptEntry]:
        base = self.base()
        found = base.concept_ids(keys)
        forms = base.forms_of([number for number, _, _ in found.values()])
        with self._reading():
            revision, latest = self._revision(user, at_revision)
            heads, tails = self._personal_concepts(user, keys, revision, latest)
        entries = {}
        for key in dict.fromkeys(keys):
            if key not in found and key not in heads and key not in tails:
                continue
            number, text, retrievable = found.get(key, (0, "", 0))
            own_text, own_count = heads.get(key, (tails.get(key, ""), 0))
            entries[key] = ConceptEntry(
                Concept(key, text or own_text), key in found, retrievable, own_count, forms.get(number, ())
            )
        return entries

    def _personal_concepts(
        self, user: str, keys: Sequence[str], revision: int, latest: int
    ) -> tuple[dict[str, tuple[str, int]], dict[str, str]]:
        """(head key -> text and how many triples were added there, tail key -> text) among `keys`."""
        if revision == latest:
            wanted = json.dumps(list(keys))
            heads = {k: (text, n) for k, text, n in self._db.execute(sql.PERSONAL_AT_HEADS, (user, wanted))}
            tails = dict(self._db.execute(sql.PERSONAL_AT_TAILS, (user, wanted)).fetchall())
        else:
            heads, tails, asked = {}, {}, set(keys)
            for triple, mark in self._marks(sql.ALL_MARKS_THEN, user, revision).items():
                if mark.origin is Origin.ADDED:
                    if triple.head.key in asked:
                        heads[triple.head.key] = (triple.head.text, heads.get(triple.head.key, ("", 0))[1] + 1)
                    if triple.tail.key in asked:
                        tails[triple.tail.key] = triple.tail.text
        return heads, tails

    def neighborhood(self, user: str, head: Concept, limit: int, at_revision: int | None) -> Neighborhood:
        base = self.base()
        with self._reading():
            revision, latest = self._revision(user, at_revision)
            marks = self._marks_at(user, head, revision, latest)
        slices = base.slices(head, limit + len(marks))
        in_base = {t for t in marks if base.has(canonical(t, self._vocabulary))}
        return assemble_neighborhood(head, revision, slices, marks, in_base, limit)

    def _marks_at(self, user: str, head: Concept, revision: int, latest: int) -> dict[Triple, Mark]:
        if revision == latest:
            at_head, at_tail, arguments = sql.MARKS_AT_HEAD, sql.MARKS_AT_TAIL, (user, head.key)
        else:
            at_head, at_tail = sql.MARKS_AT_HEAD_THEN, sql.MARKS_AT_TAIL_THEN
            arguments = (user, revision, head.key)  # type: ignore[assignment]
        marks = {**self._marks(at_tail, *arguments), **self._marks(at_head, *arguments)}
        return seen_from(marks, head, self._vocabulary)

    def page_neighborhood(self, user: str, head: Concept, page: Page, at_revision: int) -> Listing[ViewedTriple]:
        base = self.base()
        with self._reading():
            revision, latest = self._revision(user, at_revision)
            marks = self._marks_at(user, head, revision, latest)
        items: list[ViewedTriple] = []
        cursor = page.cursor
        for viewed, behind in self._listed(base, head, marks, cursor, page.size + 1):
            if len(items) == page.size:
                return Listing(tuple(items), cursor)
            items.append(viewed)
            cursor = behind
        return Listing(tuple(items), "")

    def _listed(
        self, base: BaseReader, head: Concept, marks: Mapping[Triple, Mark], cursor: str, count: int
    ) -> Iterator[tuple[ViewedTriple, str]]:
        """The user's own triples at `head` from `cursor` on, then the base's others, each with the cursor behind it."""
        section, *position = (int(n) for n in cursor.split(".")) if cursor else (_OWN, 0)
        if section == _OWN:
            own = newest_first(marks)
            for at in range(position[0], len(own)):
                yield self._viewed_mark(base, *own[at]), f"{_OWN}.{at + 1}"
            position = [0, 0, 0]
        for edge, behind in base.edges_from(head, (position[0], position[1], position[2]), count + len(marks)):
            if edge.triple not in marks:
                yield edge.viewed(), ".".join(str(n) for n in (_BASE, *behind))

    def _viewed_mark(self, base: BaseReader, triple: Triple, mark: Mark) -> ViewedTriple:
        in_base = base.has(canonical(triple, self._vocabulary))
        return ViewedTriple(triple, mark.origin, in_base=in_base, stamp=mark.stamp)

    def find(self, user: str, triples: Sequence[Triple]) -> dict[Triple, tuple[bool, Mark | None]]:
        base = self.base()
        found = {}
        for triple in triples:
            stored = canonical(triple, self._vocabulary)
            arguments = (user, stored.head.key, stored.relation, stored.tail.key)
            marks = self._marks(sql.GET_MARK, *arguments)
            found[triple] = (base.has(stored), next(iter(marks.values()), None))
        return found

    def _marks(self, query: str, *arguments: object) -> dict[Triple, Mark]:
        rows = self._db.execute(query, arguments)
        return {_triple(row[:5]): Mark(Origin(row[5]), Stamp(row[6], row[7])) for row in rows}

    # History

    def overlay(self, user: str) -> Overlay:
        with self._reading():
            return Overlay(self.snapshot(user).revision, self._marks(sql.ALL_MARKS, user))

    def facts(self, user: str, page: Page, at_revision: int) -> Listing[PersonalFact]:
        with self._reading():
            revision, latest = self._revision(user, at_revision)
            if revision == latest:
                marks = self._marks(sql.ALL_MARKS, user)
            else:
                marks = self._marks(sql.ALL_MARKS_THEN, user, revision)
            edits = {r: (i, t) for r, i, t in self._db.execute(sql.EDIT_HEADS, (user,))}
        start = int(page.cursor or 0)
        chosen = newest_first(marks)[start : start + page.size]
        facts = tuple(PersonalFact(t, m, *edits.get(m.stamp.revision, ("", 0))) for t, m in chosen)
        return Listing(facts, str(start + page.size) if start + page.size < len(marks) else "")

    def edits(self, user: str, page: Page, at_revision: int) -> Listing[Edit | UnreadableEdit]:
        self._revision(user, at_revision)
        upto = min(at_revision, int(page.cursor)) if page.cursor else at_revision
        rows, next_cursor = self._page_of_edits(user, page, upto)
        return Listing(tuple(read_edit(*row) for row in rows), next_cursor)

    def _page_of_edits(self, user: str, page: Page, upto: int) -> tuple[list[tuple[Any, ...]], str]:
        """The rows of a page, and the revision that the next one starts with."""
        rows: list[tuple[Any, ...]] = []
        taken = 0
        with contextlib.closing(self._db.execute(sql.EDITS_PAGE, (user, upto, page.size + 1))) as cursor:
            for row in cursor:
                taken += len(row[0])
                if rows and (len(rows) == page.size or taken > page.max_bytes):
                    return rows, str(row[2])
                rows.append(row)
        return rows, ""

    def stored_edits(self, query: str, *arguments: object) -> list[Edit | UnreadableEdit]:
        """All rows are there before the first is decoded: a damaged one leaves no statement open."""
        return [read_edit(*row) for row in self._db.execute(query, arguments).fetchall()]

    def edit(self, user: str, edit_id: str) -> Edit:
        found = self.stored_edits(sql.EDIT_BY_ID, user, edit_id)
        if not found:
            raise UnknownEdit
        return readable(found[0])

    def edits_since(self, user: str, revision: int, triples: Sequence[Triple]) -> list[Edit]:
        keys = [_columns(canonical(triple, self._vocabulary))[:3] for triple in triples]
        return all_readable(self.stored_edits(sql.EDITS_TOUCHING, user, json.dumps(keys), revision))

    def reverts(self, user: str) -> list[tuple[str, str]]:
        return self._db.execute(sql.REVERTS, (user,)).fetchall()

    def response(self, user: str, request_id: str) -> RequestRecord | None:
        row = self._db.execute(sql.RESPONSE, (user, request_id)).fetchone()
        return None if row is None else RequestRecord(*row)

    # Writing

    def commit(self, user: str, snapshot: Snapshot, edits: Sequence[Edit], request: RequestRecord | None) -> None:
        with transaction(self._db):
            current = self.snapshot(user)
            self._require_unmoved(user, snapshot, current)
            if request is not None:
                self._require_unanswered(user, request)
            if not edits:
                self._keep_response(user, request)
                return
            overlay_id = secrets.token_hex(16) if _is_new(current) else current.overlay_id
            for number, edit in enumerate(edits, start=1):
                if edit.revision != current.revision + number:
                    raise Internal("an edit's revision does not follow the overlay's")
                self._insert_edit(user, edit, request if number == len(edits) else None)
            self._db.execute(sql.PUT_USER, (user, overlay_id, current.revision + len(edits)))

    def _require_unmoved(self, user: str, snapshot: Snapshot, current: Snapshot) -> None:
        if current == snapshot:
            return
        if current.overlay_id != snapshot.overlay_id:
            unnamed = self._unnamed_id(user)
            if not (_is_new(snapshot) and snapshot.overlay_id == unnamed):
                raise OverlayErased
        raise RevisionMoved(snapshot.revision, current.revision)

    def _require_unanswered(self, user: str, request: RequestRecord) -> None:
        """An equal request through another server may have been faster; repeated, this one gets its response."""
        if self.response(user, request.request_id) is not None:
            raise StoreBusy("a request with this request_id was answered meanwhile; repeat it to get that response")

    def _keep_response(self, user: str, request: RequestRecord | None) -> None:
        if request is not None:
            kept = (user, request.request_id, request.content_hash, request.response)
            self._db.execute(sql.PUT_RESPONSE, kept)
            self._db.execute(sql.DROP_OLD_RESPONSES, (user, KEPT_RESPONSES))

    def _insert_edit(self, user: str, edit: Edit, request: RequestRecord | None) -> None:
        kept = (request.request_id, request.content_hash, request.response) if request else (None, None, None)
        body = edit_to_json(edit)
        if read_edit(body, edit.id, edit.revision, edit.time_ms) != edit:
            raise Internal("an edit that could not be read back was not written")
        self._db.execute(sql.INSERT_EDIT, (user, edit.revision, edit.id, edit.time_ms, edit.reverts, *kept, body))
        self._db.executemany(sql.INSERT_TOUCH, _touches(user, edit))
        for change in edit.changes:
            t, mark = change.triple, change.after
            self._db.execute(sql.DROP_MARK, (user, t.head.key, t.relation, t.tail.key))
            if mark is not None:
                self._db.execute(sql.PUT_MARK, (user, *_columns(t), *_mark_columns(mark)))

    def erase(self, user: str, request_id: str | None) -> Erased:
        now_ms = time.time_ns() // 1_000_000
        oldest_ms = now_ms - KEPT_ERASURES_S * 1000
        digest = None if request_id is None else erase_digest(user, request_id)
        with transaction(self._db):
            earlier = self._db.execute(sql.ERASED_REQUEST, (digest, oldest_ms)).fetchone()
            erased = Erased(*earlier) if earlier else self._erase_rows(user)
            self._db.execute(sql.DROP_OLD_ERASED_REQUESTS, (oldest_ms,))
            if digest is not None and not earlier:
                self._db.execute(sql.PUT_ERASED_REQUEST, (digest, now_ms, *astuple(erased)))
        self._truncate_log()
        return erased

    def _erase_rows(self, user: str) -> Erased:
        edits, responses = self._db.execute(sql.COUNT_USER_EDITS, (user,)).fetchone()
        marks = dict(self._db.execute(sql.COUNT_USER_MARKS, (user,)).fetchall())
        own = [key for (key,) in self._db.execute(sql.USER_CONCEPTS, (user,)).fetchall()]
        personal = len(own) - len(self.base().concept_ids(own))
        for statement in sql.ERASE:
            self._db.execute(statement, (user,))
        self._db.execute(sql.NEXT_EPOCH, (erasure_bucket(user),))
        return Erased(edits, marks.get("added", 0), marks.get("removed", 0), personal, responses)

    def _truncate_log(self) -> None:
        """Empty the write-ahead log, which still holds what was erased. Readers finish in a moment."""
        for _ in range(200):
            busy = self._db.execute(sql.TRUNCATE_WAL).fetchone()[0]
            if not busy:
                return
            time.sleep(0.02)
        raise StoreBusy("the user is erased, but its pages are still in the log of a store in use; try again")

    # Checking

    def check(self) -> list[str]:
        found = self._db.execute(sql.INTEGRITY).fetchone()[0]
        if found != "ok":
            return [f"the file is damaged: {found}"]
        problems = []
        with self._reading():
            for user, _, revision in self._db.execute(sql.ALL_USERS).fetchall():
                problems += [f"a user at revision {revision}: {p}" for p in self._check_user(user, revision)]
        return problems

    def _check_user(self, user: str, revision: int) -> list[str]:
        problems = []
        overlay, touches = Overlay(), set()
        for edit in all_readable(self.stored_edits(sql.EDITS_ALL, user)):
            if edit.revision != overlay.revision + 1:
                problems.append(f"the log goes from revision {overlay.revision} to {edit.revision}")
            if any(overlay.marks.get(change.triple) != change.before for change in edit.changes):
                problems.append(f"revision {edit.revision} does not start from the overlay before it")
            overlay = overlay.with_edit(edit)
            touches |= {row[1:] for row in _touches(user, edit)}
        if overlay.revision != revision:
            problems.append(f"the log ends at revision {overlay.revision}")
        if _comparable(self._marks(sql.ALL_MARKS, user)) != _comparable(overlay.marks):
            problems.append("the overlay is not what the log makes")
        if {tuple(row) for row in self._db.execute(sql.CHECKED_TOUCHES, (user,))} != touches:
            problems.append("the index of changes is not what the log makes")
        return problems

    def counts(self) -> dict[str, int]:
        base = self.base().counts()
        return {
            "concepts": base.concepts,
            "triples": base.edges,
            "users": self._db.execute(sql.COUNT_USERS).fetchone()[0],
            "edits": self._db.execute(sql.COUNT_EDITS).fetchone()[0],
        }


def _is_new(snapshot: Snapshot) -> bool:
    return snapshot.overlay_id.startswith(_UNNAMED)


def _touches(user: str, edit: Edit) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for change in edit.changes:
        key, texts = _columns(change.triple)[:3], _columns(change.triple)[3:]
        mark = _mark_columns(change.after) if change.after else (None, None, None)
        rows.append((user, *key, edit.revision, *texts, 1, *mark))
    for triple in edit.relied_on:
        key, texts = _columns(triple)[:3], _columns(triple)[3:]
        rows.append((user, *key, edit.revision, *texts, 0, None, None, None))
    return rows


def _columns(t: Triple) -> tuple[str, str, str, str, str]:
    return t.head.key, t.relation, t.tail.key, t.head.text, t.tail.text


def _mark_columns(mark: Mark) -> tuple[str, int, int]:
    return mark.origin.value, mark.stamp.revision, mark.stamp.position


def _triple(row: Sequence[str]) -> Triple:
    head, relation, tail, head_text, tail_text = row
    return Triple(Concept(head, head_text), relation, Concept(tail, tail_text))


def _comparable(marks: Mapping[Triple, Mark]) -> set[tuple[object, ...]]:
    return {(*_columns(t), *_mark_columns(m)) for t, m in marks.items()}
