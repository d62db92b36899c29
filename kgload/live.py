"""The route into a Neo4j that runs: batches of the driver from a stage; each commits with its position in the graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from kgload import queries
from kgload.report import Phase, Report
from kgload.staging import Limits, Stage, connect, execute, quoted
from server.graph.relation import Vocabulary
from server.stores.neo4j_base import BaseConcept, LoadedBase, RankedEdge, load_base, prepare_graph, present_graph
from server.stores.neo4j_connection import Connection, Neo4jLogin
from server.stores.sqlite_base import BaseCounts

BATCH = 10_000


class StagedSource:
    """A stage as a source of server.stores.neo4j_base: the same order at every start."""

    def __init__(self, stage: Stage, limits: Limits, report: Report) -> None:
        self._stage, self._limits, self._report = stage, limits, report
        self._spill = stage.folder / "spill"
        self._databases: list[duckdb.DuckDBPyConnection] = []
        by_relation = {name: edges for _, name, edges in stage.relations}
        self.counts = BaseCounts(stage.concepts, stage.edges, stage.fingerprint, by_relation)

    def __enter__(self) -> StagedSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for database in self._databases:
            database.close()

    def concepts(self, start: int) -> Iterator[BaseConcept]:
        query = queries.LIVE_CONCEPTS_FROM.format(file=quoted(self._stage.concepts_file))
        return (BaseConcept(*row) for row in self._rows(query, start))

    def edges(self, start: int) -> Iterator[RankedEdge]:
        query = queries.LIVE_EDGES_FROM.format(file=quoted(self._ordered_edges()))
        return (RankedEdge(*row) for row in self._rows(query, start))

    def _ordered_edges(self) -> Path:
        """The edges by relation with their keys, made once a stage."""
        file = self._stage.folder / "graph_edges.parquet"
        if file.exists():
            return file
        draft = file.with_suffix(".new")
        query = queries.LIVE_EDGES.format(
            edges=quoted(self._stage.edges_file), concepts=quoted(self._stage.concepts_file), target=quoted(draft)
        )
        with self._report.phase("sorting the edges by relation") as phase:
            execute(self._connected(), query, phase, names_of(self._stage, {}))
        draft.replace(file)
        return file

    def _rows(self, query: str, start: int) -> Iterator[tuple[Any, ...]]:
        result = self._connected().execute(query, [start])
        while rows := result.fetchmany(BATCH):
            yield from rows

    def _connected(self) -> duckdb.DuckDBPyConnection:
        database = connect(self._limits, self._spill)
        self._databases.append(database)
        return database


def names_of(stage: Stage, kinds: dict[str, str]) -> dict[str, object]:
    """A stage's relations and sources as parameters of the graph's statements; `kinds` gives a relation's type."""
    return {
        "relations": [{"id": i, "name": name, "kind": kinds.get(name, name)} for i, name, _ in stage.relations],
        "sources": [{"id": i, "dataset": d, "license": li} for i, d, li in stage.sources],
    }


async def present_fingerprint(login: Neo4jLogin) -> str:
    """The fingerprint of the graph's base; empty where there is none, or half of one."""
    connection = Connection(login)
    try:
        await connection.require_usable()
        return str((await present_graph(connection)).get("fingerprint", ""))
    finally:
        await connection.close()


async def load_live(
    stage: Stage,
    login: Neo4jLogin,
    vocabulary: Vocabulary,
    limits: Limits,
    report: Report,
    *,
    replace: bool,
    batch: int,
) -> LoadedBase:
    """Put a stage into the graph; RPCs answer BASE_LOADING meanwhile, and overlays stay.

    The same graph again changes nothing; a load that was cut off goes on from its position. Raises StoreUnusable where
    another base is there and `replace` is not set.
    """
    connection = Connection(login)
    try:
        await connection.require_usable()
        await prepare_graph(connection)
        with StagedSource(stage, limits, report) as source, report.phase("loading the graph", _rows(stage)) as phase:
            return await load_base(
                connection, source, vocabulary, replace=replace, batch=batch, progress=_shown(stage, phase)
            )
    finally:
        await connection.close()


def _rows(stage: Stage) -> int:
    return stage.concepts + stage.edges


class _shown:  # noqa: N801 - called like the function that it stands for
    """Turns the store's places into how far the whole load is."""

    def __init__(self, stage: Stage, phase: Phase) -> None:
        self._before = {"concepts": 0, "edges": stage.concepts, "sweep": _rows(stage)}
        self._phase, self._total = phase, _rows(stage)

    def __call__(self, stage: str, position: int) -> None:
        self._phase.at(min(1.0, (self._before.get(stage, 0) + position) / self._total))
