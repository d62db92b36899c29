"""The route into a Neo4j that runs: batches of the driver from a stage; each commits with its
position in the graph."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from kgload import queries
from kgload.interrupts import run_async
from kgload.report import Report
from kgload.staging import Limits, Stage, connect, execute, quoted
from server.graph.relation import Vocabulary
from server.stores.neo4j import cypher
from server.stores.neo4j.base import BaseNotes, PlacedConcept, RankedEdge, meetings
from server.stores.neo4j.connection import Connection, Neo4jLogin
from server.stores.neo4j.loading import LoadedBase, load_base
from server.stores.neo4j.rows import LONGEST_URI_BYTES, uri_of
from server.stores.neo4j.schema import prepare_graph, present_graph
from server.stores.rules.base_graph import BaseCounts

BATCH = 2_000
LANES = 4
"""Batches under way at a time: while one is executed another is made, and the server has cores for
more than one."""


class StagedSource:
    """A stage as a source of server.stores.neo4j.base: the same order at every start."""

    lanes = LANES

    def __init__(self, stage: Stage, limits: Limits, report: Report) -> None:
        self._stage, self._limits, self._report = stage, limits, report
        by_relation = {name: edges for _, name, edges in stage.relations}
        self.counts = BaseCounts(stage.concepts, stage.edges, stage.fingerprint, by_relation)
        self._database = connect(limits, stage.folder / "spill")
        self._database.create_function("uri_in_python", uri_of, ["VARCHAR"], "VARCHAR")

    def __enter__(self) -> StagedSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.remove_function("uri_in_python")
        self._database.close()

    def interrupt(self) -> None:
        """Stop what is under way, from another thread."""
        self._database.interrupt()

    def concepts(self, lane: int, start: int) -> Iterator[PlacedConcept]:
        query = queries.LIVE_CONCEPTS.format(
            file=quoted(self._stage.concepts_file), longest=LONGEST_URI_BYTES
        )
        return map(PlacedConcept._make, self._rows(query, [self.lanes, lane, start]))

    def edges(self, round: int, lane: int, start: int) -> Iterator[RankedEdge]:
        query = queries.LIVE_EDGES.format(file=quoted(self._ordered_edges()))
        return map(RankedEdge._make, self._rows(query, [round, lane, start]))

    def _ordered_edges(self) -> Path:
        """The edges by round, lane and relation, whole, made once a stage."""
        file = self._stage.folder / f"graph_edges-{self.lanes}.parquet"
        if file.exists():
            return file
        draft = file.with_suffix(".new")
        query = queries.ORDERED_EDGES.format(
            edges=quoted(self._stage.edges_file),
            target=quoted(draft),
            surface=surface_of(self._stage),
            buckets=2 * self.lanes,
        )
        schedule = {"meetings": [asdict(meeting) for meeting in meetings(self.lanes)]}
        with self._report.phase("sorting the edges into lanes") as phase:
            execute(self._database, query, phase, names_of(self._stage, {}) | schedule)
        draft.replace(file)
        return file

    def _rows(self, query: str, parameters: list[int]) -> Iterator[tuple[Any, ...]]:
        result = self._database.cursor().execute(query, parameters)
        while rows := result.fetchmany(BATCH):
            yield from rows


def surface_of(stage: Stage) -> str:
    """How a statement says an edge's surface text; a company's own triples have none."""
    return "e.surface" if stage.recipe.surface_text else "NULL::VARCHAR"


def names_of(stage: Stage, kinds: dict[str, str]) -> dict[str, object]:
    """A stage's relations and sources as parameters of the graph's statements; `kinds` gives a
    relation's type."""
    return {
        "relations": [
            {"id": i, "name": name, "kind": kinds.get(name, name)} for i, name, _ in stage.relations
        ],
        "sources": [{"id": i, "dataset": d, "license": li} for i, d, li in stage.sources],
    }


async def present_fingerprint(login: Neo4jLogin) -> str:
    """The fingerprint of the graph's base; empty where there is none, or half of one."""
    async with Connection(login) as connection:
        await connection.require_usable()
        return str((await present_graph(connection)).get("fingerprint", ""))


async def require_usable(login: Neo4jLogin) -> None:
    """Return when a Neo4j is there and takes the login. Raises StoreUnusable with what to do."""
    async with Connection(login) as connection:
        await connection.require_usable()


async def prepare(login: Neo4jLogin) -> None:
    """Make what a base needs of the graph's schema where it is missing. Raises StoreUnusable."""
    async with Connection(login) as connection:
        await prepare_graph(connection, cypher.BASE_SCHEMA)


def load_live(
    stage: Stage,
    login: Neo4jLogin,
    vocabulary: Vocabulary,
    limits: Limits,
    report: Report,
    *,
    replace: bool,
    batch: int,
) -> LoadedBase:
    """Put a stage into a graph that is prepared; RPCs answer BASE_LOADING meanwhile, and overlays
    stay.

    The same graph again changes nothing; a load that was cut off goes on from its position. Raises
    StoreUnusable where another base is there and `replace` is not set.
    """
    rows = stage.concepts + stage.edges
    with (
        StagedSource(stage, limits, report) as source,
        report.phase("loading the graph", rows) as phase,
    ):

        async def load() -> LoadedBase:
            async with Connection(login) as connection:
                return await load_base(
                    connection,
                    source,
                    vocabulary,
                    replace=replace,
                    batch=batch,
                    notes=notes_of(stage),
                    progress=lambda put: phase.at(put / rows),
                )

        return run_async(load(), source.interrupt)


def notes_of(stage: Stage) -> BaseNotes:
    """What the graph keeps of where a stage came from."""
    source = {"identity": asdict(stage.identity), "recipe": asdict(stage.recipe)}
    return BaseNotes(json.dumps(source, ensure_ascii=False), stage.recipe.declared)
