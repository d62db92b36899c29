"""Background work on the overlays' file: removing what an erase leaves in the file and its log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from server.errors import KgtError, StoreBusy
from server.stores.sqlite.connection import connect, is_locked, translation
from server.stores.sqlite.scrub import Scrubber

RETRY_S = 3.0
"""The time between background attempts while traces of an erased user are left."""
_PATIENCE_S = 1.0
_PAUSE_S = 0.02
_LOCK_WAIT_S = 0.05
"""The longest wait for the lock of a writer in this process, and of that writer for this one."""

_log = logging.getLogger("kgt")


class Maintenance:
    """Keeps the files free of what was erased, on a thread and over connections of its own.

    It hardly waits for locks. Somebody who reads the store, in this process or another, delays only
    the erase that wants its traces gone.
    """

    def __init__(self, path: Path) -> None:
        """Start on the overlays' file at `path`, with what an earlier run may have left."""
        self._path = path
        self._scrubber = Scrubber(path)
        self._asked: queue.SimpleQueue[Future[None] | None] = queue.SimpleQueue()
        self._owing = threading.Event()
        self._owing.set()
        self._stopped = threading.Event()
        self._told = False
        self._thread = threading.Thread(target=self._run, name="sqlite-maintenance", daemon=True)
        self._thread.start()

    def owe(self) -> None:
        """Note that something was erased. Its traces are removed even if nobody waits for it."""
        self._owing.set()

    async def after_erase(self) -> None:
        """Return when the files hold no trace of what was erased.

        Raises StoreBusy after about a second.
        """
        self.owe()
        asked: Future[None] = Future()
        self._asked.put(asked)
        await asyncio.wrap_future(asked)

    def close(self) -> None:
        """Stop. Does nothing twice."""
        self._stopped.set()
        self._asked.put(None)
        self._thread.join()
        self._scrubber.close()
        for asked in self._waiting():
            asked.set_exception(
                StoreBusy("the server is stopping; repeat this request when it is back")
            )

    # On the thread

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._owing.is_set():
                self._tidy([], until=0.0)
            try:
                first = self._asked.get(timeout=RETRY_S if self._owing.is_set() else None)
            except queue.Empty:
                continue
            if first is not None:
                self._tidy([first, *self._waiting()], until=time.monotonic() + _PATIENCE_S)

    def _waiting(self) -> list[Future[None]]:
        """All others that wait now. One attempt answers them together."""
        waiting = []
        with contextlib.suppress(queue.Empty):
            while True:
                asked = self._asked.get_nowait()
                if asked is not None:
                    waiting.append(asked)
        return waiting

    def _tidy(self, waiting: list[Future[None]], until: float) -> None:
        """Try until it is done or the time is up, and answer those who wait."""
        waiting = [asked for asked in waiting if asked.set_running_or_notify_cancel()]
        self._owing.clear()  # an erase from here on sets it again
        fault = self._fault(until)
        if fault is not None:
            self._owing.set()
            if not self._told:
                _log.warning(
                    "traces of an erased user are still on disk and are removed later: %s", fault
                )
        self._told = fault is not None
        for asked in waiting:
            if fault is None:
                asked.set_result(None)
            else:
                asked.set_exception(fault)

    def _fault(self, until: float) -> KgtError | None:
        """What prevents tidying; None once all is tidy."""
        try:
            while not self._is_tidy():
                if time.monotonic() >= until or self._stopped.wait(_PAUSE_S):
                    return StoreBusy(
                        "the user is erased, but traces are still in the files, which are in use;"
                        " repeat this request to have them removed"
                    )
        except KgtError as error:
            return error
        return None

    def _is_tidy(self) -> bool:
        """Make one attempt, which waits only a moment for locks."""
        try:
            with contextlib.closing(connect(self._path, timeout_s=_LOCK_WAIT_S)) as connection:
                return self._scrubber.scrub(connection)
        except sqlite3.Error as error:
            if is_locked(error):
                return False
            raise translation(error) from error
        except OSError as error:
            raise StoreBusy(f"the store's files cannot be reached: {error.strerror}") from error
