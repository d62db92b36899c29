"""A running Neo4j as a target: the graph comes in batches, each committed with its position."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from kgload import queries
from kgload.database import Database, quoted
from kgload.interrupts import run_async
from kgload.limits import Limits
from kgload.report import Report
from kgload.source import Identity
from kgload.targets.neo4j_base import Neo4jBase
from kgload.targets.neo4j_graph import names_of, notes_of, surface_of
from kgload.targets.protocol import Choice, Plan, Stats, StoredBase
from kgload.workspace import Workspace
from server.graph.relation import Vocabulary
from server.stores.neo4j import cypher
from server.stores.neo4j.base import PlacedConcept, RankedEdge, meetings
from server.stores.neo4j.connection import Connection, Neo4jLogin
from server.stores.neo4j.loading import LoadedBase, load_base
from server.stores.neo4j.rows import LONGEST_URI_BYTES, uri_of
from server.stores.neo4j.schema import prepare_graph, present_graph
from server.stores.rules.base_graph import BaseCounts
from server.stores.settings import login_from_environment

BATCH = 2_000
LANES = 4
"""Batches under way at a time: one is made while others are executed, and the server has several
cores."""


class Neo4jLive:
    """A Neo4j that runs. RPCs answer BASE_LOADING during a load, and overlays stay."""

    keeps_surface_text = True

    def __init__(self, login: Neo4jLogin, report: Report) -> None:
        self._login, self._report = login, report
        self._prepared: Future[None] | None = None

    @classmethod
    def chosen(cls, choice: Choice, report: Report) -> Neo4jLive:
        return cls(login_from_environment(choice.store), report)

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Prepare the schema in a thread: that takes seconds in a Neo4j that has just started."""
        run_async(_require_usable(self._login))
        with ThreadPoolExecutor(1) as executor:
            self._prepared = executor.submit(lambda: asyncio.run(_prepare(self._login)))
            yield

    def holds_a_base(self) -> bool:
        return bool(run_async(_present_fingerprint(self._login)))

    def holds(self, plan: Plan, identity: Identity) -> bool:
        """Only the graph's fingerprint tells, and `put` compares it."""
        return False

    def put(self, workspace: Workspace, plan: Plan, scratch: Path) -> None:
        """Load the graph; a load that was cut off goes on from its position."""
        if self._prepared is not None:
            self._prepared.result()
        rows = workspace.concepts + workspace.edges
        with (
            WorkspaceSource(workspace, plan.limits, self._report) as source,
            self._report.phase("loading the graph", rows) as phase,
        ):

            async def load() -> LoadedBase:
                async with Connection(self._login) as connection:
                    return await load_base(
                        connection,
                        source,
                        plan.vocabulary,
                        replace=plan.replace,
                        batch=plan.batch or BATCH,
                        notes=notes_of(workspace),
                        progress=lambda put: phase.at(put / rows),
                    )

            loaded = run_async(load(), source.interrupt)
        if loaded.unchanged:
            self._report.line(f"{self._login.url} holds this graph already; nothing was changed")

    def stored(self) -> StoredBase:
        return Neo4jBase(self._login)

    def stats(self, vocabulary: Vocabulary) -> Stats:
        return Neo4jBase(self._login).stats()


class WorkspaceSource:
    """A workspace as a source of server.stores.neo4j.base: in the same order at every start."""

    lanes = LANES

    def __init__(self, workspace: Workspace, limits: Limits, report: Report) -> None:
        self._workspace, self._report = workspace, report
        self.counts = BaseCounts(
            concepts=workspace.concepts,
            edges=workspace.edges,
            fingerprint=workspace.fingerprint,
            by_relation={name: edges for _, name, edges in workspace.relations},
        )
        self._db = Database(limits, workspace.folder / "spill")
        self._db.define("uri_in_python", uri_of)

    def __enter__(self) -> WorkspaceSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def interrupt(self) -> None:
        """Stop the statement that is running, from another thread."""
        self._db.interrupt()

    def concepts(self, lane: int, start: int) -> Iterator[PlacedConcept]:
        query = queries.LIVE_CONCEPTS.format(
            file=quoted(self._workspace.concepts_file), longest=LONGEST_URI_BYTES
        )
        return map(PlacedConcept._make, self._rows(query, [self.lanes, lane, start]))

    def edges(self, round: int, lane: int, start: int) -> Iterator[RankedEdge]:
        query = queries.LIVE_EDGES.format(file=quoted(self._ordered_edges()))
        return map(RankedEdge._make, self._rows(query, [round, lane, start]))

    def _ordered_edges(self) -> Path:
        """The edges by round, lane and relation, in a file that is made once."""
        file = self._workspace.folder / f"graph_edges-{self.lanes}.parquet"
        if file.exists():
            return file
        draft = file.with_suffix(".new")
        query = queries.ORDERED_EDGES.format(
            edges=quoted(self._workspace.edges_file),
            target=quoted(draft),
            surface=surface_of(self._workspace),
            buckets=2 * self.lanes,
        )
        schedule = {"meetings": [asdict(meeting) for meeting in meetings(self.lanes)]}
        with self._report.phase("sorting the edges into lanes") as phase:
            self._db.do(query, phase, names_of(self._workspace, {}) | schedule)
        draft.replace(file)
        return file

    def _rows(self, query: str, parameters: list[int]) -> Iterator[tuple[Any, ...]]:
        for rows in self._db.batches(query, parameters, BATCH):
            yield from rows


async def _require_usable(login: Neo4jLogin) -> None:
    """Return when a Neo4j is there and takes the login. Raises StoreUnusable."""
    async with Connection(login) as connection:
        await connection.require_usable()


async def _prepare(login: Neo4jLogin) -> None:
    """Make the constraints and indexes that a base needs. Raises StoreUnusable."""
    async with Connection(login) as connection:
        await prepare_graph(connection, cypher.BASE_SCHEMA)


async def _present_fingerprint(login: Neo4jLogin) -> str:
    """The fingerprint of the graph's base; empty where there is none, or half of one."""
    async with Connection(login) as connection:
        await connection.require_usable()
        return str((await present_graph(connection)).get("fingerprint", ""))
