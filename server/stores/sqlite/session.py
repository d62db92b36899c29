"""One thread's connections to the embedded store.

Every read fetches its rows whole inside one short transaction and looks into them afterwards. So
whatever a row holds, no statement stays open, and no snapshot with it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.errors import DataLoss, StoreUnusable
from server.graph.relation import Vocabulary
from server.stores.rules.erasures import erasure_bucket
from server.stores.rules.records import read_snapshot
from server.stores.rules.revisions import revision_to_read, snapshot_without_edits
from server.stores.sqlite import sql
from server.stores.sqlite.base import BaseReader, file_identity
from server.stores.sqlite.connection import FileWatch, connect, reading, transaction, watched
from server.tuning.ports import Snapshot

_FIRST_WAIT_S = 5.0

Arguments = Mapping[str, object] | Sequence[object]


@dataclass(frozen=True, slots=True)
class Moment:
    """A revision to read at, and whether it is the latest."""

    revision: int
    is_latest: bool


LATEST = Moment(0, is_latest=True)
"""For questions about the latest revision, whichever it is."""


class Session:
    """One thread's connections: to the overlays' file, and to the base while it stays the same.

    Raises SQLite's errors as they are; the store translates them.
    """

    def __init__(
        self, overlays: Path, base: Path, vocabulary: Vocabulary, on_base: Callable[[str], None]
    ) -> None:
        """Open the overlays' file, which exists.

        `on_base` is called with the fingerprint of each base that is opened.
        """
        self.vocabulary = vocabulary
        self.symmetric = json.dumps(sorted(vocabulary.symmetric_names()))
        self._base_path = base
        self._base: BaseReader | None = None
        self._on_base = on_base
        self._db = connect(overlays, _FIRST_WAIT_S)

    def close(self) -> None:
        self._db.close()
        if self._base is not None:
            self._base.close()

    def wait_for_locks(self, seconds: float) -> None:
        """Set how long the statements that follow wait for other processes."""
        self._db.execute(sql.wait_for_locks(round(seconds * 1000)))

    def end(self) -> None:
        """Leave no transaction open, whatever became of the work."""
        if self._db.in_transaction:
            self._db.execute(sql.ROLLBACK)

    def base(self) -> BaseReader:
        """The base as it is now; a loader may have swapped the file. Raises DataLoss."""
        if self._base is None or self._base.identity != file_identity(self._base_path):
            if self._base is not None:
                self._base.close()
                self._base = None
            try:
                self._base = BaseReader(self._base_path)
            except StoreUnusable as error:
                raise DataLoss(str(error)) from error
            self._on_base(self._base.fingerprint)
        return self._base

    # Statements

    def reading(self) -> contextlib.AbstractContextManager[None]:
        """A transaction in which all reads see one moment."""
        return reading(self._db)

    @contextlib.contextmanager
    def writing(self, watch: FileWatch) -> Iterator[None]:
        """A transaction that commits only while the file is still the one at its path."""
        with transaction(self._db):
            yield
            watch.require_same()

    def rows(self, statement: str, arguments: Arguments) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with (
            watched(statement),
            contextlib.closing(self._db.execute(statement, arguments)) as found,
        ):
            return found.fetchall()

    def row(self, statement: str, *arguments: object) -> tuple[Any, ...] | None:
        """The first row of a query; None where it has none."""
        found = self.rows(statement, arguments)
        return found[0] if found else None

    @contextlib.contextmanager
    def iterated(self, statement: str, *arguments: object) -> Iterator[Iterable[tuple[Any, ...]]]:
        """The rows of a query one by one, for as long as the context lasts."""
        with (
            watched(statement),
            contextlib.closing(self._db.execute(statement, arguments)) as found,
        ):
            yield found

    def execute(self, statement: str, *arguments: object) -> None:
        """Run a statement that returns nothing."""
        with watched(statement):
            self._db.execute(statement, arguments)

    def execute_many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement once for each of `rows`."""
        with watched(statement):
            self._db.executemany(statement, rows)

    # Where a user stands

    def health(self) -> None:
        """Return when both files can be read."""
        self.rows(sql.ANY_USER, ())
        self.base()

    def snapshot(self, user: str) -> Snapshot:
        row = self.row(sql.GET_USER, user)
        return read_snapshot(*row) if row else snapshot_without_edits(self.erasures(user))

    def snapshots(self, users: Sequence[str]) -> dict[str, Snapshot]:
        """The snapshots of these users, without those whose record is damaged."""
        found = {}
        for user in users:
            with contextlib.suppress(DataLoss):
                found[user] = self.snapshot(user)
        return found

    def erasures(self, user: str) -> int:
        """How often users of this user's bucket were erased."""
        row = self.row(sql.GET_EPOCH, erasure_bucket(user))
        return row[0] if row else 0

    def all_erasures(self) -> int:
        """How often any user was erased."""
        row = self.row(sql.SUM_EPOCHS)
        return int(row[0]) if row else 0

    def moment(self, user: str, at_revision: int | None) -> Moment:
        """The moment to read at. Raises UnknownRevision."""
        latest = self.snapshot(user).revision
        revision = revision_to_read(at_revision, latest)
        return Moment(revision, revision == latest)

    def ask(
        self, question: sql.Timed, moment: Moment, user: str, **more: object
    ) -> list[tuple[Any, ...]]:
        """The rows that answer a question about the user's marks at a moment."""
        statement = question.now if moment.is_latest else question.then
        return self.rows(statement, {"user": user, "revision": moment.revision, **more})
