"""The embedded store (SQLite) as a target: its base file is built aside and moved into place."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from kgload.base_file import BATCH, write_base
from kgload.database import Database, translated
from kgload.errors import LoadError, OtherBase
from kgload.interrupts import run_async
from kgload.report import Report
from kgload.scratch import require_free
from kgload.source import Identity
from kgload.targets.protocol import (
    HUBS,
    Choice,
    Plan,
    PresentBase,
    Sampled,
    Stats,
    StoredBase,
    described,
    difference,
    source_note,
)
from kgload.workspace import Workspace
from server.graph.relation import Vocabulary
from server.stores.neo4j.connection import EMBEDDED
from server.stores.sqlite.base import BASE_FILE, BaseReader
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore

_BYTES_PER_EDGE = 60
_BYTES_PER_CONCEPT = 110


class Embedded:
    """The embedded store in `folder`."""

    keeps_surface_text = False

    def __init__(self, folder: Path, report: Report) -> None:
        self._folder, self._report = folder, report

    @classmethod
    def chosen(cls, choice: Choice, report: Report) -> Embedded | None:
        return cls(choice.folder, report) if choice.store == EMBEDDED else None

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        yield

    def holds_a_base(self) -> bool:
        return bool(present_base(self._folder).fingerprint)

    def holds(self, plan: Plan, identity: Identity) -> bool:
        present = present_base(self._folder)
        if plan.replace or not present.fingerprint or present.source is None:
            return False
        loaded = present.source
        if loaded.recipe != plan.recipe or not loaded.identity.same_content(identity):
            raise OtherBase(
                f"{self._folder} holds the base graph of {loaded.identity.name} already"
                " (or other options made it); pass --replace to put this one in its place"
                " (users' edits stay)"
            )
        return loaded.identity.same_file(identity)

    def put(self, workspace: Workspace, plan: Plan, scratch: Path) -> None:
        present = present_base(self._folder)
        same_graph = present.fingerprint == workspace.fingerprint
        same_recipe = present.source is None or present.source.recipe == plan.recipe
        if same_graph and same_recipe:
            self._report.line(f"{self._folder} holds this graph already; nothing was changed")
            return
        if present.fingerprint and not plan.replace:
            raise OtherBase(
                f"{self._folder} holds another base graph already; pass --replace to put this one"
                " in its place (users' edits stay)"
            )
        if not (scratch / BASE_FILE).exists():
            needed = workspace.edges * _BYTES_PER_EDGE + workspace.concepts * _BYTES_PER_CONCEPT
            require_free(self._folder, needed)
        try:
            with Database(plan.limits, scratch / "spill") as db:
                batch = plan.batch or BATCH
                meta = _meta(workspace)
                write_base(workspace, meta, self._folder, scratch, db, self._report, batch)
        except (sqlite3.Error, duckdb.Error, OSError) as error:
            raise translated(error, workspace.identity.name, self._folder) from error

    def stored(self) -> StoredBase:
        return EmbeddedBase(self._folder)

    def stats(self, vocabulary: Vocabulary) -> Stats:
        folder = self._folder
        if not (folder / BASE_FILE).exists() and not (folder / OVERLAYS_FILE).exists():
            raise LoadError(f"{folder} holds no store; fill one with `python -m kgload starter`")
        with reading(folder) as reader:
            present = _present(reader)
            counts = reader.counts()
            hubs = reader.largest_hubs(HUBS)
            attribution = reader.meta("attribution")
        users, edits = _personal(folder, vocabulary)
        return Stats(
            base_graph=counts.fingerprint,
            loaded_from=present.file,
            concepts=counts.concepts,
            edges=counts.edges,
            relations=counts.by_relation,
            hubs=dict(hubs),
            users=users,
            edits=edits,
            attribution=attribution,
        )


class EmbeddedBase:
    """The base of the embedded store. Raises LoadError where there is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._present = present_base(folder)
        self.fingerprint = self._present.fingerprint
        if not self.fingerprint:
            raise LoadError(f"{folder} holds no base graph")

    def present(self) -> PresentBase:
        return self._present

    def concepts(self) -> int:
        with reading(self._folder) as reader:
            return reader.counts().concepts

    def counted_relations(self) -> dict[str, int]:
        with reading(self._folder) as reader:
            return reader.counted_relations()

    def differing(self, sample: Sequence[Sampled]) -> list[str]:
        with reading(self._folder) as reader:
            found = [reader.find_whole(edge.head, edge.relation, edge.tail) for edge in sample]
        differences = []
        for edge, stored in zip(sample, found, strict=True):
            expected = (edge.weight, edge.dataset, edge.license)
            if words := difference(edge, stored, expected):
                differences.append(words)
        return differences


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[BaseReader]:
    """The base in `folder`, open for reading. Raises StoreUnusable and DataLoss."""
    reader = BaseReader(folder / BASE_FILE)
    try:
        yield reader
    finally:
        reader.close()


def present_base(folder: Path) -> PresentBase:
    """What the base in `folder` says of itself. Raises StoreUnusable and DataLoss."""
    with reading(folder) as reader:
        return _present(reader)


def _present(reader: BaseReader) -> PresentBase:
    return described(reader.fingerprint, reader.meta("source"))


def _personal(folder: Path, vocabulary: Vocabulary) -> tuple[int, int]:
    """How many users and edits the store has."""
    if not (folder / OVERLAYS_FILE).exists():
        return 0, 0
    store = SqliteStore(folder, vocabulary)
    try:
        counts = run_async(store.counts())
    finally:
        store.close_now()
    return counts.users, counts.edits


def _meta(workspace: Workspace) -> dict[str, str]:
    return {
        "source": source_note(workspace),
        "declared": workspace.recipe.declared,
        "attribution": workspace.recipe.attribution,
    }
