"""The base graph in Neo4j: its schema made and checked, and its triples put there in batches that
can be resumed."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, LiteralString, NamedTuple, Protocol, TypeVar

import neo4j

from server.errors import KgtError, StoreUnusable
from server.graph.relation import Vocabulary
from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Connection, Neo4jLogin, done, one
from server.stores.neo4j.rows import uri_of
from server.stores.neo4j.upgrade import upgrade_overlays
from server.stores.rules.base_graph import BaseCounts
from server.stores.sqlite.base import BaseReader

BATCH = 5_000
PATIENCE_S = 300.0
"""How long one transaction of opening or loading may take: nobody waits for it but the operator."""

_CLEAR, _CONCEPTS, _EDGES, _SWEEP = "clear", "concepts", "edges", "sweep"

Tx = neo4j.AsyncManagedTransaction
R = TypeVar("R")


class BaseConcept(NamedTuple):
    """A concept of a base to be loaded, with how many triples of retrievable relations start at it.

    `place` is its place among all by key, from 1 on.
    """

    place: int
    uri: str
    text: str
    language: str
    retrievable: int


class RankedEdge(NamedTuple):
    """An edge of a base to be loaded, by its ends' places, in canonical form.

    `rank` is its place among the head's edges of the relation, the heaviest 0, without gaps.
    `back_rank` is the same at the tail; None for relations that are not symmetric, and where head
    and tail are one. `surface_text` is None where the file says nothing in words.
    """

    head: int
    relation: str
    tail: int
    rank: int
    back_rank: int | None
    weight: float = 1.0
    dataset: str = ""
    license: str = ""
    merged: int = 1
    surface_text: str | None = None


@dataclass(frozen=True, slots=True)
class BaseNotes:
    """What a base says of itself: its file and options (JSON), and the relations that it brings
    along (TOML)."""

    source: str = ""
    declared: str = ""


class BaseSource(Protocol):
    """A base in a fixed order, so that loading can go on at any place. No triple comes twice."""

    @property
    def counts(self) -> BaseCounts: ...

    @property
    def lanes(self) -> int:
        """How many lanes may load it beside each other."""
        ...

    def concepts(self, lane: int, start: int) -> Iterator[BaseConcept]:
        """The concepts of a lane from its place `start` on."""
        ...

    def edges(self, round: int, lane: int, start: int) -> Iterator[RankedEdge]:
        """The edges of a lane in a round (see `meetings`) from their place `start` on."""
        ...


class SqliteSource:
    """A base file of the embedded store as a source: it has merged, ranked and fingerprinted its
    triples.

    It keeps no language, surface text or number of merged lines. One lane: it is for small bases.
    """

    lanes = 1

    def __init__(self, reader: BaseReader) -> None:
        self._reader = reader
        self.counts = reader.counts()

    def concepts(self, lane: int, start: int) -> Iterator[BaseConcept]:
        for place, (key, text, retrievable) in enumerate(
            self._reader.all_concepts(start), start + 1
        ):
            yield BaseConcept(place, uri_of(key), text, "en", retrievable)

    def edges(self, round: int, lane: int, start: int) -> Iterator[RankedEdge]:
        places = {key: place for place, (key, _, _) in enumerate(self._reader.all_concepts(0), 1)}
        for (
            head,
            relation,
            tail,
            rank,
            back_rank,
            weight,
            dataset,
            license,
        ) in self._reader.all_edges(start):
            yield RankedEdge(
                places[head], relation, places[tail], rank, back_rank, weight, dataset, license
            )


@dataclass(frozen=True, slots=True)
class Meeting:
    """The edges between concepts of two buckets, `low` <= `high`, and which lane puts them in which
    round."""

    low: int
    high: int
    round: int
    lane: int


def meetings(lanes: int) -> list[Meeting]:
    """Who meets whom when all edges are put by `lanes` lanes that never touch one concept at a
    time.

    Concepts are in 2 * lanes buckets. Each two meet once, as teams of a tournament do: in a round
    every bucket is in one lane alone. Edges within a bucket go into its first round. Neo4j locks
    both ends of an edge that it makes until the transaction ends, so lanes that shared concepts
    would wait for each other and deadlock.
    """
    buckets = 2 * lanes
    circle = list(range(buckets))
    found = []
    for round in range(buckets - 1):
        for lane in range(lanes):
            low, high = sorted((circle[lane], circle[-1 - lane]))
            found.append(Meeting(low, high, round, lane))
            if round == 0:
                found += [Meeting(low, low, 0, lane), Meeting(high, high, 0, lane)]
        circle = [circle[0], circle[-1], *circle[1:-1]]
    return found


@dataclass(frozen=True, slots=True)
class LoadedBase:
    """What a load came to. `resumed` says that it went on where an earlier one was stopped."""

    counts: BaseCounts
    unchanged: bool = False
    resumed: bool = False


async def prepare_graph(
    connection: Connection, schema: Sequence[LiteralString] = cypher.SCHEMA
) -> None:
    """Make the schema, or a part of it, where it is missing, and bring overlays of an older one to
    it.

    Raises StoreUnusable: a newer schema, other people's data, no permission.
    """
    try:
        graph = await present_graph(connection)
        version = int(graph.get("schema_version", cypher.SCHEMA_VERSION))
        _require_version(version)
        for statement in schema if version == cypher.SCHEMA_VERSION else cypher.SCHEMA:
            await connection.run_schema(statement)
        await connection.run_schema(cypher.AWAIT_INDEXES)
        if version < cypher.SCHEMA_VERSION:
            await upgrade_overlays(connection)

        async def claim(tx: Tx) -> tuple[int, Sequence[str]]:
            version = (await one(tx, cypher.CLAIM_GRAPH, version=cypher.SCHEMA_VERSION))[
                "schema_version"
            ]
            return version, (await one(tx, cypher.RELATIONSHIP_TYPES))["types"]

        version, types = await connection.write(claim, PATIENCE_S)
    except StoreUnusable:
        raise
    except KgtError as error:
        raise StoreUnusable(f"the graph cannot be opened: {error}") from error
    _require_version(version)
    unknown = sorted(set(types) - {*cypher.BASE_TYPES, cypher.ADDED, cypher.DELETED})
    if unknown:
        raise StoreUnusable(
            f"the graph has relationships of types that this service does not know ({', '.join(unknown[:5])});"
            " give it a database of its own (KGT_NEO4J_DATABASE), or remove them"
        )


def _require_version(found: int) -> None:
    if found > cypher.SCHEMA_VERSION:
        raise StoreUnusable(
            f"the graph has schema version {found}, this service knows up to {cypher.SCHEMA_VERSION};"
            " update the service"
        )


async def present_graph(connection: Connection) -> Mapping[str, Any]:
    """The properties of the node that describes the graph; empty where there is none."""

    async def work(tx: Tx) -> Mapping[str, Any]:
        record = await (await tx.run(cypher.GET_GRAPH)).single()
        return {} if record is None else dict(record["graph"])

    return await connection.read(work, PATIENCE_S)


async def declared_relations(login: Neo4jLogin) -> str:
    """TOML of the relations that the graph's base brought along; empty where it brought none.
    Raises StoreUnusable."""
    async with Connection(login) as connection:
        await connection.require_usable()
        return "\n".join((await present_graph(connection)).get("declared") or ())


async def relation_names(login: Neo4jLogin) -> list[str]:
    """The names of the relations that the graph's base uses. Raises StoreUnusable."""
    async with Connection(login) as connection:
        await connection.require_usable()
        return list((await present_graph(connection)).get("relations") or ())


async def load_base(
    connection: Connection,
    source: BaseSource,
    vocabulary: Vocabulary,
    *,
    replace: bool = False,
    batch: int = BATCH,
    notes: BaseNotes = BaseNotes(),
    progress: Callable[[int], None] = lambda rows: None,
) -> LoadedBase:
    """Put a base into the graph; RPCs answer BASE_LOADING meanwhile, and overlays stay.

    The same base again changes nothing; one whose loading was stopped is finished from there.
    `progress` is told how many concepts and edges are there. Raises StoreUnusable when another base
    is there and `replace` is not set, or when another load is under way.
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
    """One load: clear the old edges, put concepts, put edges round by round, sweep what is left of
    the old base."""

    def __init__(
        self,
        connection: Connection,
        source: BaseSource,
        vocabulary: Vocabulary,
        batch: int,
        progress: Callable[[int], None],
    ) -> None:
        self._connection, self._source, self._vocabulary = connection, source, vocabulary
        self._batch, self._progress = batch, progress
        self._fingerprint = source.counts.fingerprint
        self._generation, self._fresh, self._stage = 0, False, _CLEAR
        self._positions = [0] * source.lanes
        self._put = 0
        self._ids = array("q", bytes(8 * (source.counts.concepts + 1)))
        """place -> the node's id"""

    async def begin(self) -> None:
        async def work(tx: Tx) -> neo4j.Record:
            return await one(
                tx, cypher.BEGIN_LOADING, fingerprint=self._fingerprint, lanes=self._source.lanes
            )

        record = await self._connection.write(work, PATIENCE_S)
        self._generation, self._fresh = record["generation"], record["fresh"]

    async def resume(self, graph: Mapping[str, Any]) -> bool:
        """Go on with the load that the graph says is under way; False where it is not this one."""
        if graph.get("state") != cypher.LOADING or graph.get("loading") != self._fingerprint:
            return False

        async def work(tx: Tx) -> list[Mapping[str, Any]]:
            return [dict(record) async for record in await tx.run(cypher.GET_LANES)]

        lanes = await self._connection.read(work, PATIENCE_S)
        here = (graph["generation"], graph["stage"])
        if len(lanes) != self._source.lanes or any(
            (lane["generation"], lane["stage"]) != here for lane in lanes
        ):
            return False
        self._generation, self._stage, self._fresh = *here, bool(graph.get("fresh"))
        self._positions = [lane["position"] for lane in lanes]
        self._put = sum(lane["put"] for lane in lanes)
        if self._stage not in (_CLEAR, _SWEEP):
            await self._find_ids()
        return True

    async def _find_ids(self) -> None:
        """Ask the graph for the nodes that the load has put before it was stopped."""
        for lane in range(self._source.lanes):
            concepts = self._source.concepts(lane, 0)
            if self._stage == _CONCEPTS:
                concepts = islice(concepts, self._positions[lane])
            while rows := list(islice(concepts, self._batch)):
                await self._ask_ids(rows)

    async def _ask_ids(self, rows: Sequence[BaseConcept]) -> None:
        async def work(tx: Tx) -> list[int]:
            return list(
                (await one(tx, cypher.IDS_OF_CONCEPTS, rows=[list(row) for row in rows]))["ids"]
            )

        self._know_ids(rows, await self._connection.read(work, PATIENCE_S))

    def _know_ids(self, rows: Sequence[BaseConcept], ids: Sequence[int]) -> None:
        if len(ids) != len(rows):
            raise StoreUnusable(
                "concepts that the load has put are gone from the graph; begin it anew with --replace"
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
        """Run a stage's lanes beside each other; the first failure stops all."""
        lanes = [asyncio.create_task(self._lane(stage, lane)) for lane in range(self._source.lanes)]
        try:
            await asyncio.gather(*lanes)
        except BaseException:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            raise

    async def _lane(self, stage: str, lane: int) -> None:
        if stage == _CONCEPTS:
            concepts = self._source.concepts(lane, self._positions[lane])
            while rows := list(islice(concepts, self._batch)):
                await self._put_concepts(lane, rows)
        else:
            edges = self._source.edges(int(stage.removeprefix(_EDGES)), lane, self._positions[lane])
            while chunk := list(islice(edges, self._batch)):
                await self._put_edges(lane, chunk)

    async def _put_concepts(self, lane: int, rows: Sequence[BaseConcept]) -> None:
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
                    "concepts of the base are gone from the graph; begin the load anew with --replace"
                )

        await self._add(lane, len(edges), put)

    async def _add(self, lane: int, count: int, put: Callable[[Tx], Awaitable[R]]) -> R | None:
        """Put a lane's batch and move its place in the same transaction; None where that was done,
        its outcome lost."""
        start = self._positions[lane]
        here = (self._generation, self._stage)

        async def work(tx: Tx) -> R | None:
            at = await (await tx.run(cypher.LOCK_LANE, lane=lane)).single()
            if (
                at is None
                or (at["generation"], at["stage"]) != here
                or at["position"] not in (start, start + count)
            ):
                raise StoreUnusable(
                    "another load of the base is under way; let it end, then try again"
                )
            if at["position"] != start:
                return None
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
                raise StoreUnusable(
                    "another load of the base is under way; let it end, then try again"
                )
            await done(tx, cypher.MOVE_LOADING, stage=stage)

        await self._connection.write(work, PATIENCE_S)
        self._stage, self._positions = stage, [0] * self._source.lanes

    async def _until_none(self, statement: LiteralString, counted: str) -> None:
        async def work(tx: Tx) -> int:
            return int(
                (await one(tx, statement, count=self._batch, generation=self._generation))[counted]
            )

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
        """A batch as the parameters of PUT_EDGES: types and sources are told once."""
        ids = self._ids
        types: dict[str, int] = {}
        sources: dict[tuple[str, str], int] = {}
        kinds: dict[str, tuple[int, str | None]] = {}
        rows = []
        for (
            head,
            relation,
            tail,
            rank,
            back_rank,
            weight,
            dataset,
            license,
            merged,
            surface_text,
        ) in edges:
            if relation not in kinds:
                kind = type_of(relation, self._vocabulary)
                kinds[relation] = (
                    types.setdefault(kind, len(types)),
                    relation if kind == cypher.CUSTOM else None,
                )
            number, custom = kinds[relation]
            source = sources.setdefault((dataset, license), len(sources))
            row: list[object] = [
                ids[head],
                ids[tail],
                number,
                rank,
                weight,
                source,
                merged,
                back_rank,
                surface_text,
                custom,
            ]
            while row[-1] is None:  # most edges have none of the last three
                row.pop()
            rows.append(row)
        return {"rows": rows, "types": list(types), "sources": [list(source) for source in sources]}


def type_of(relation: str, vocabulary: Vocabulary) -> str:
    """The type of a base edge: the relation's own where this service lists it, read from the same
    ends; else CUSTOM."""
    listed = cypher.SYMMETRIC_TYPES if vocabulary.is_symmetric(relation) else cypher.DIRECTED_TYPES
    return relation if relation in listed else cypher.CUSTOM
