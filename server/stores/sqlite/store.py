"""GraphStore on SQLite: the embedded default, with nothing to set up.

The base is one read-only file (base.py), the overlays are another. One thread writes, and several
read, each over connections of its own (session.py). Every commit is one transaction with
`synchronous = FULL`, so that what was acknowledged is on disk. Maintenance, which may have to wait
for other processes, has a thread of its own.
"""

from __future__ import annotations

import asyncio
import queue
import secrets
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from server.errors import DataLoss, StoreBusy, StoreUnusable, Unavailable
from server.graph.concept import Concept
from server.graph.edit import Edit, Overlay, UnreadableEdit
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Triple
from server.stores.sqlite import history, views, writing
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.check import OVERLAYS_FILE as OVERLAYS_FILE
from server.stores.sqlite.check import check_overlays, counts_in
from server.stores.sqlite.connection import FileWatch, log_of, translated
from server.stores.sqlite.maintenance import Maintenance
from server.stores.sqlite.migrations import prepare_overlays
from server.stores.sqlite.private_files import keep_private, private_folder
from server.stores.sqlite.session import Session
from server.stores.sqlite.threads import Threads
from server.tuning.ports import (
    KEPT_RESPONSES,
    ConceptEntry,
    Erased,
    Listing,
    OverlayOf,
    Page,
    PersonalFact,
    RequestRecord,
    Snapshot,
    StoreCounts,
    Tombstone,
    Usage,
)

_BUSY_TIMEOUT_S = 5.0
"""How long a write waits for those of other processes, from when it was asked for."""
_LEAST_WAIT_S = 0.2
_PROBE_WAIT_S = 1.0
_STUCK_S = 10.0
"""A write that takes longer blocks all others, so the store does not serve."""

R = TypeVar("R")


class SqliteStore:
    """A GraphStore in one folder. `":memory:"` is a temporary folder that `close` removes."""

    def __init__(self, folder: str | Path, vocabulary: Vocabulary) -> None:
        """Open or create. Raises StoreUnusable."""
        self._temporary = str(folder) == ":memory:"
        self.folder = Path(tempfile.mkdtemp(prefix="kgt-")) if self._temporary else Path(folder)
        self._path = self.folder / OVERLAYS_FILE
        self._vocabulary = vocabulary
        self._fingerprint = ""
        self._page_key = secrets.token_bytes(32)  # one server at a time has this store
        self._sessions: queue.SimpleQueue[Session] = queue.SimpleQueue()
        self._local = threading.local()
        self._last_write_s = time.monotonic()
        self._writes_fail = False
        self._watch = FileWatch()
        try:
            self._watch = self._opened()
        except (OSError, sqlite3.Error) as error:
            self._close_sessions()
            raise StoreUnusable(f"the store at {self.folder} cannot be opened: {error}") from error
        except DataLoss as error:
            self._close_sessions()
            raise StoreUnusable(f"{self.folder}: {error}") from error
        self._threads = Threads()
        self._maintenance = Maintenance(self._path)

    def _opened(self) -> FileWatch:
        """Make the files private and ready, and return what watches them."""
        private_folder(self.folder)
        keep_private(
            p for p in self.folder.iterdir() if p.name.startswith((OVERLAYS_FILE, BASE_FILE))
        )
        prepare_overlays(self._path)
        before = FileWatch(self._path)
        session = self._session()
        session.health()  # opens the log too, so that it is watched
        watch = FileWatch(self._path, log_of(self._path))
        before.require_same()  # a restore may have been faster
        return watch

    # The port

    @property
    def base_fingerprint(self) -> str:
        return self._fingerprint

    @property
    def page_key(self) -> bytes:
        return self._page_key

    async def snapshot(self, user: str) -> Snapshot:
        return await self._read(user, lambda s: s.snapshot(user))

    async def snapshots(self, users: Sequence[str]) -> Mapping[str, Snapshot]:
        return await self._read("", lambda s: s.snapshots(users))

    async def erasures(self) -> int:
        return await self._read("", lambda s: s.all_erasures())

    async def look_up(
        self, user: str, keys: Sequence[str], at_revision: int | None = None
    ) -> Mapping[str, ConceptEntry]:
        return await self._read(user, lambda s: views.look_up(s, user, keys, at_revision))

    async def neighborhood(
        self, user: str, head: Concept, limit: int, at_revision: int | None = None
    ) -> Neighborhood:
        return await self._read(
            user, lambda s: views.neighborhood(s, user, head, limit, at_revision)
        )

    async def page_neighborhood(
        self, user: str, head: Concept, page: Page, at_revision: int
    ) -> Listing[ViewedTriple]:
        return await self._read(
            user, lambda s: views.page_neighborhood(s, user, head, page, at_revision)
        )

    async def find(
        self, user: str, triples: Sequence[Triple]
    ) -> Mapping[Triple, tuple[bool, Mark | None]]:
        return await self._read(user, lambda s: views.find(s, user, triples))

    async def personal_facts(
        self, user: str, page: Page, at_revision: int
    ) -> Listing[PersonalFact]:
        return await self._read(user, lambda s: history.personal_facts(s, user, page, at_revision))

    async def edits(
        self, user: str, page: Page, at_revision: int
    ) -> Listing[Edit | UnreadableEdit]:
        return await self._read(user, lambda s: history.edits(s, user, page, at_revision))

    async def edit(self, user: str, edit_id: str) -> Edit:
        return await self._read(user, lambda s: history.edit(s, user, edit_id))

    async def edits_since(
        self, user: str, revision: int, triples: Sequence[Triple]
    ) -> Sequence[Edit]:
        return await self._read(user, lambda s: history.edits_since(s, user, revision, triples))

    async def reverts(self, user: str) -> Sequence[tuple[str, str]]:
        return await self._read(user, lambda s: history.reverts(s, user))

    async def history(self, user: str) -> Sequence[Edit | UnreadableEdit]:
        return await self._read(user, lambda s: history.history(s, user))

    async def overlay(self, user: str) -> Overlay:
        return await self._read(user, lambda s: history.overlay(s, user))

    async def usage(self, user: str) -> Usage:
        return await self._read(user, lambda s: history.usage(s, user))

    async def response(self, user: str, request_id: str) -> RequestRecord | None:
        return await self._read(user, lambda s: history.response(s, user, request_id))

    async def commit(
        self,
        user: str,
        snapshot: Snapshot,
        edits: Sequence[Edit],
        request: RequestRecord | None,
        overlay_id: str | None = None,
    ) -> None:
        await self._write(
            lambda s: writing.commit(
                s, self._watch, user, snapshot, edits, request, KEPT_RESPONSES, overlay_id
            )
        )

    async def erase(self, user: str, request_id: str | None = None) -> Erased:
        def erase(session: Session) -> Erased:
            erased = writing.erase(session, self._watch, user, request_id)
            self._maintenance.owe()  # the caller may be gone by now
            return erased

        erased = await self._write(erase)
        await self._maintenance.after_erase()
        return erased

    async def overlays(self, page: Page) -> Listing[OverlayOf]:
        return await self._read("", lambda s: history.overlays(s, page))

    async def tombstones(self, page: Page) -> Listing[Tombstone]:
        return await self._read("", lambda s: history.tombstones(s, page))

    async def bury(self, tombstones: Sequence[Tombstone]) -> int:
        def bury(session: Session) -> int:
            buried = writing.bury(session, self._watch, tombstones)
            self._maintenance.owe()
            return buried

        buried = await self._write(bury)
        await self._maintenance.after_erase()
        return buried

    async def check(self) -> list[str]:
        return await asyncio.to_thread(check_overlays, self._path)

    async def counts(self) -> StoreCounts:
        return await asyncio.to_thread(counts_in, self.folder)

    async def health(self) -> None:
        with translated():
            self._watch.require_same()
        self._require_writes_to_move()
        try:
            async with asyncio.timeout(_STUCK_S):
                await self._read("", lambda s: s.health())
                await self._probe()
        except TimeoutError:
            raise StoreBusy("the store does not answer; is its disk there?") from None

    async def close(self) -> None:
        await asyncio.to_thread(self.close_now)

    # Beyond the port

    def close_now(self) -> None:
        """Finish what is under way and close all files. May be called twice."""
        self._threads.close()
        self._close_sessions()
        self._maintenance.close()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _close_sessions(self) -> None:
        while not self._sessions.empty():
            self._sessions.get().close()

    # Threads

    async def _read(self, user: str, work: Callable[[Session], R]) -> R:
        return await self._threads.read(user, lambda: self._on_this_thread(work))

    async def _write(self, work: Callable[[Session], R], patience_s: float | None = None) -> R:
        """Do `work` on the writer's thread, waiting `patience_s` in all for other processes."""
        until = time.monotonic() + (_BUSY_TIMEOUT_S if patience_s is None else patience_s)

        def patiently(session: Session) -> R:
            # Time spent waiting behind other writes counts
            session.wait_for_locks(max(_LEAST_WAIT_S, until - time.monotonic()))
            result = work(session)
            self._last_write_s = time.monotonic()
            return result

        try:
            result = await self._threads.write(lambda: self._on_this_thread(patiently))
        except Unavailable:
            self._writes_fail = True
            raise
        self._writes_fail = False
        return result

    def _on_this_thread(self, work: Callable[[Session], R]) -> R:
        with translated():
            session = self._session()
            try:
                return work(session)
            finally:
                session.end()

    def _session(self) -> Session:
        session: Session | None = getattr(self._local, "session", None)
        if session is None:
            self._watch.require_same()  # another store may be at the path by now
            session = Session(
                self._path, self.folder / BASE_FILE, self._vocabulary, self._note_fingerprint
            )
            self._local.session = session
            self._sessions.put(session)
        return session

    def _note_fingerprint(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint

    # Health

    def _require_writes_to_move(self) -> None:
        waited_s = self._threads.oldest_write_s()
        if waited_s > _STUCK_S:
            raise StoreBusy(
                f"a write has been under way for {waited_s:.0f} s, and others wait for it"
            )

    async def _probe(self) -> None:
        """Begin a write and drop it. After a write that failed, make a real one.

        Raises what prevents writing. A lock that another process holds for a moment is not a fault;
        one that stays is.
        """
        for_real = self._writes_fail
        try:
            await self._write(
                lambda s: writing.probe(s, self._watch, for_real=for_real), _PROBE_WAIT_S
            )
        except StoreBusy:
            if for_real or time.monotonic() - self._last_write_s > _BUSY_TIMEOUT_S:
                raise
