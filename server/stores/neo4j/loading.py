"""Putting a base into the graph, in batches that can be resumed."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, LiteralString, TypeVar

import neo4j

from server.errors import StoreUnusable
from server.graph.relation import Vocabulary
from server.stores.neo4j import cypher
from server.stores.neo4j.base import BaseNotes, BaseSource, PlacedConcept, RankedEdge, type_of
from server.stores.neo4j.connection import Connection, Tx, done, one
from server.stores.neo4j.schema import PATIENCE_S, present_graph
from server.stores.rules.base_graph import BaseCounts

BATCH = 5_000

_CLEAR, _CONCEPTS, _EDGES, _SWEEP = "clear", "concepts", "edges", "sweep"
_NO_NOTES = BaseNotes()
_UNDER_WAY = "another load of the base is under way; let it end, then try again"

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class LoadedBase:
    """What a load came to. `resumed` says that it went on where an earlier one was stopped."""

    counts: BaseCounts
    unchanged: bool = False
    resumed: bool = False


async def load_base(
    connection: Connection,
    source: BaseSource,
    vocabulary: Vocabulary,
    *,
    replace: bool = False,
    batch: int = BATCH,
    notes: BaseNotes = _NO_NOTES,
    progress: Callable[[int], None] = lambda rows: None,
) -> LoadedBase:
    """Put a base into the graph. Overlays stay, and RPCs answer BASE_LOADING meanwhile.

    Loading the same base again changes nothing. A load that was stopped is finished from where it
    was. `progress` is told how many concepts and edges are there. Raises StoreUnusable if another
    base is there and `replace` is not set, or if another load is under way.
    """
    counts = source.counts
    graph = await present_graph(connection)
    if graph.get("state") == cypher.READY and graph.get("fingerprint") == counts.fingerprint:
        return LoadedBase(counts, unchanged=True)
    if graph.get("state") == cypher.READY and graph.get("fingerprint") and not replace:
        raise StoreUnusable(
            "the graph holds another base already; pass --replace to put this one in its place"
        )
    loading = _Loading(connection, source, vocabulary, batch, progress)
    resumed = await loading.resume(graph)
    if not resumed:
        await loading.begin()
    await loading.run()
    await loading.end(notes)
    return LoadedBase(counts, resumed=resumed)


class _Loading:
    """One load, stage by stage.

    It clears the old edges, puts the concepts, puts the edges round by round, and sweeps away what
    is left of the old base.
    """

    def __init__(
        self,
        connection: Connection,
        source: BaseSource,
        vocabulary: Vocabulary,
        batch: int,
        progress: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._source = source
        self._vocabulary = vocabulary
        self._batch = batch
        self._progress = progress
        self._fingerprint = source.counts.fingerprint
        self._generation = 0
        self._fresh = False
        """Whether the load found a graph without concepts."""
        self._stage = _CLEAR
        self._positions = [0] * source.lanes
        self._put = 0
        self._ids = array("q", bytes(8 * (source.counts.concepts + 1)))
        """place -> the node's id"""

    async def begin(self) -> None:
        async def work(tx: Tx) -> neo4j.Record:
            lanes = self._source.lanes
            return await one(tx, cypher.BEGIN_LOADING, fingerprint=self._fingerprint, lanes=lanes)

        record = await self._connection.write(work, PATIENCE_S)
        self._generation, self._fresh = record["generation"], record["fresh"]

    async def resume(self, graph: Mapping[str, Any]) -> bool:
        """Go on with the load that the graph says is under way; False if it is not this one."""
        if graph.get("state") != cypher.LOADING or graph.get("loading") != self._fingerprint:
            return False

        async def work(tx: Tx) -> list[Mapping[str, Any]]:
            return [dict(record) async for record in await tx.run(cypher.GET_LANES)]

        lanes = await self._connection.read(work, PATIENCE_S)
        here = (graph["generation"], graph["stage"])
        if len(lanes) != self._source.lanes:
            return False
        if any((lane["generation"], lane["stage"]) != here for lane in lanes):
            return False
        self._generation, self._stage = here
        self._fresh = bool(graph.get("fresh"))
        self._positions = [lane["position"] for lane in lanes]
        self._put = sum(lane["put"] for lane in lanes)
        if self._stage not in (_CLEAR, _SWEEP):
            await self._find_ids()
        return True

    async def _find_ids(self) -> None:
        """Ask the graph for the nodes that the load had put before it was stopped."""
        for lane in range(self._source.lanes):
            concepts = self._source.concepts(lane, 0)
            if self._stage == _CONCEPTS:
                concepts = islice(concepts, self._positions[lane])
            for rows in self._batches(concepts):
                await self._ask_ids(rows)

    async def _ask_ids(self, rows: Sequence[PlacedConcept]) -> None:
        async def work(tx: Tx) -> list[int]:
            asked = [list(row) for row in rows]
            return list((await one(tx, cypher.IDS_OF_CONCEPTS, rows=asked))["ids"])

        self._know_ids(rows, await self._connection.read(work, PATIENCE_S))

    def _know_ids(self, rows: Sequence[PlacedConcept], ids: Sequence[int]) -> None:
        if len(ids) != len(rows):
            raise StoreUnusable(
                "concepts that the load has put are gone from the graph;"
                " begin it anew with --replace"
            )
        for row, number in zip(rows, ids, strict=True):
            self._ids[row.place] = number

    async def run(self) -> None:
        rounds = [f"{_EDGES} {round}" for round in range(2 * self._source.lanes - 1)]
        stages = [_CLEAR, _CONCEPTS, *rounds, _SWEEP]
        for stage, following in pairwise(stages[stages.index(self._stage) :]):
            if stage == _CLEAR:
                await self._until_none(cypher.CLEAR_EDGES, "cleared")
            else:
                await self._in_lanes(stage)
            await self._move(following)
        for statement in cypher.REHOME_OVERLAYS:
            await self._until_none(statement, "moved")
        await self._until_none(cypher.CLEAR_CONCEPTS, "cleared")

    async def _in_lanes(self, stage: str) -> None:
        """Run a stage's lanes at the same time. The first failure stops all."""
        lanes = [asyncio.create_task(self._lane(stage, lane)) for lane in range(self._source.lanes)]
        try:
            await asyncio.gather(*lanes)
        except BaseException:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            raise

    async def _lane(self, stage: str, lane: int) -> None:
        start = self._positions[lane]
        if stage == _CONCEPTS:
            for rows in self._batches(self._source.concepts(lane, start)):
                await self._put_concepts(lane, rows)
        else:
            round = int(stage.removeprefix(_EDGES))
            for edges in self._batches(self._source.edges(round, lane, start)):
                await self._put_edges(lane, edges)

    def _batches(self, items: Iterator[R]) -> Iterator[list[R]]:
        while batch := list(islice(items, self._batch)):
            yield batch

    async def _put_concepts(self, lane: int, rows: Sequence[PlacedConcept]) -> None:
        statement = cypher.CREATE_CONCEPTS if self._fresh else cypher.PUT_CONCEPTS
        parameters = {"rows": [list(row) for row in rows], "generation": self._generation}

        async def put(tx: Tx) -> list[int]:
            return list((await one(tx, statement, **parameters))["ids"])

        ids = await self._add(lane, len(rows), put)
        if ids is None:
            await self._ask_ids(rows)
        else:
            self._know_ids(rows, ids)

    async def _put_edges(self, lane: int, edges: Sequence[RankedEdge]) -> None:
        parameters = self._edge_rows(edges)

        async def put(tx: Tx) -> None:
            if (await one(tx, cypher.PUT_EDGES, **parameters))["made"] != len(edges):
                raise StoreUnusable(
                    "concepts of the base are gone from the graph;"
                    " begin the load anew with --replace"
                )

        await self._add(lane, len(edges), put)

    async def _add(self, lane: int, count: int, put: Callable[[Tx], Awaitable[R]]) -> R | None:
        """Put a lane's batch, and move the lane's place in the same transaction.

        Returns None if that was done before, with its outcome lost.
        """
        start = self._positions[lane]
        here = (self._generation, self._stage)

        async def work(tx: Tx) -> R | None:
            at = await (await tx.run(cypher.LOCK_LANE, lane=lane)).single()
            if at is None or (at["generation"], at["stage"]) != here:
                raise StoreUnusable(_UNDER_WAY)
            if at["position"] == start + count:
                return None
            if at["position"] != start:
                raise StoreUnusable(_UNDER_WAY)
            result = await put(tx)
            await done(tx, cypher.MOVE_LANE, lane=lane, position=start + count, count=count)
            return result

        result = await self._connection.write(work, PATIENCE_S)
        self._positions[lane] = start + count
        self._put += count
        self._progress(self._put)
        return result

    async def _move(self, stage: str) -> None:
        """Go on to the next stage, all lanes at its beginning."""

        async def work(tx: Tx) -> None:
            at = await one(tx, cypher.LOCK_LOADING)
            if at["generation"] != self._generation or at["stage"] not in (self._stage, stage):
                raise StoreUnusable(_UNDER_WAY)
            await done(tx, cypher.MOVE_LOADING, stage=stage)

        await self._connection.write(work, PATIENCE_S)
        self._stage = stage
        self._positions = [0] * self._source.lanes

    async def _until_none(self, statement: LiteralString, counted: str) -> None:
        """Run a statement until it finds nothing more to do. `counted` names its result."""
        parameters = {"count": self._batch, "generation": self._generation}

        async def work(tx: Tx) -> int:
            return int((await one(tx, statement, **parameters))[counted])

        while await self._connection.write(work, PATIENCE_S):
            pass

    async def end(self, notes: BaseNotes) -> None:
        counts = self._source.counts

        async def work(tx: Tx) -> None:
            await done(
                tx,
                cypher.END_LOADING,
                fingerprint=self._fingerprint,
                concepts=counts.concepts,
                edges=counts.edges,
                relations=sorted(counts.by_relation),
                source=notes.source,
                declared=notes.declared.splitlines() or None,
            )

        await self._connection.write(work, PATIENCE_S)

    def _edge_rows(self, edges: Sequence[RankedEdge]) -> dict[str, Any]:
        """A batch as the parameters of PUT_EDGES. Types and sources are told once."""
        ids = self._ids
        types: dict[str, int] = {}
        sources: dict[tuple[str, str], int] = {}
        kinds: dict[str, tuple[int, str | None]] = {}
        rows = []
        for edge in edges:
            if edge.relation not in kinds:
                kind = type_of(edge.relation, self._vocabulary)
                name = edge.relation if kind == cypher.CUSTOM else None
                kinds[edge.relation] = (types.setdefault(kind, len(types)), name)
            number, custom = kinds[edge.relation]
            row: list[object] = [
                ids[edge.head],
                ids[edge.tail],
                number,
                edge.rank,
                edge.weight,
                sources.setdefault((edge.dataset, edge.license), len(sources)),
                edge.merged,
                edge.back_rank,
                edge.surface_text,
                custom,
            ]
            while row[-1] is None:  # most edges have none of the last three
                row.pop()
            rows.append(row)
        return {"rows": rows, "types": list(types), "sources": [list(source) for source in sources]}
