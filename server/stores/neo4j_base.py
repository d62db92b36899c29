"""The base graph in Neo4j: its schema made and checked, and its triples put there in batches that can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import neo4j

from server.errors import KgtError, StoreUnusable
from server.graph.relation import Vocabulary
from server.stores import cypher
from server.stores.neo4j_connection import Connection, done, one
from server.stores.neo4j_rows import uri_of
from server.stores.sqlite_base import BaseCounts, BaseReader

BATCH = 5_000
PATIENCE_S = 300.0
"""How long one transaction of opening or loading may take: nobody waits for it but the operator."""

_CONCEPTS, _EDGES, _SWEEP = "concepts", "edges", "sweep"
_CLEAR = "clear"

Tx = neo4j.AsyncManagedTransaction


@dataclass(frozen=True, slots=True)
class BaseConcept:
    """A concept of a base to be loaded, with how many triples of retrievable relations start at it."""

    key: str
    text: str
    retrievable: int
    language: str = "en"


@dataclass(frozen=True, slots=True)
class RankedEdge:
    """An edge of a base to be loaded, by its ends' keys, in canonical form.

    `rank` is its place among the head's edges of the relation, the heaviest 0, without gaps. `back_rank` is the same at
    the tail; None for relations that are not symmetric, and where head and tail are one.
    """

    head: str
    relation: str
    tail: str
    rank: int
    back_rank: int | None
    weight: float = 1.0
    dataset: str = ""
    license: str = ""
    surface_text: str = ""


class BaseSource(Protocol):
    """A base in a fixed order, so that loading can go on at any place. No triple comes twice."""

    @property
    def counts(self) -> BaseCounts: ...

    def concepts(self, start: int) -> Iterator[BaseConcept]:
        """The concepts from place `start` on."""
        ...

    def edges(self, start: int) -> Iterator[RankedEdge]:
        """The edges from place `start` on."""
        ...


class SqliteSource:
    """A base file of the embedded store as a source: it has merged, ranked and fingerprinted its triples."""

    def __init__(self, reader: BaseReader) -> None:
        self._reader = reader
        self.counts = reader.counts()

    def concepts(self, start: int) -> Iterator[BaseConcept]:
        return (BaseConcept(*row) for row in self._reader.all_concepts(start))

    def edges(self, start: int) -> Iterator[RankedEdge]:
        return (RankedEdge(*row) for row in self._reader.all_edges(start))


@dataclass(frozen=True, slots=True)
class LoadedBase:
    """What a load came to. `resumed` says that it went on where an earlier one was stopped."""

    counts: BaseCounts
    unchanged: bool = False
    resumed: bool = False


async def prepare_graph(connection: Connection) -> None:
    """Make the schema where it is missing. Raises StoreUnusable: a newer schema, other people's data, no permission."""
    try:
        graph = await present_graph(connection)
        _require_version(int(graph.get("schema_version", cypher.SCHEMA_VERSION)))
        for statement in cypher.SCHEMA:
            await connection.run_schema(statement)
        await connection.run_schema(cypher.AWAIT_INDEXES)

        async def claim(tx: Tx) -> tuple[int, Sequence[str]]:
            version = (await one(tx, cypher.CLAIM_GRAPH, version=cypher.SCHEMA_VERSION))["schema_version"]
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


async def load_base(
    connection: Connection,
    source: BaseSource,
    vocabulary: Vocabulary,
    *,
    replace: bool = False,
    batch: int = BATCH,
    progress: Callable[[str, int], None] = lambda stage, position: None,
) -> LoadedBase:
    """Put a base into the graph; RPCs answer BASE_LOADING meanwhile, and overlays stay.

    The same base again changes nothing; one whose loading was stopped is finished from there. Raises StoreUnusable when
    another base is there and `replace` is not set, or when another load is under way.
    """
    counts = source.counts
    graph = await present_graph(connection)
    if graph.get("state") == cypher.READY and graph.get("fingerprint") == counts.fingerprint:
        return LoadedBase(counts, unchanged=True)
    if graph.get("state") == cypher.READY and graph.get("fingerprint") and not replace:
        raise StoreUnusable("the graph holds another base already; pass --replace to put this one in its place")
    resumed = graph.get("state") == cypher.LOADING and graph.get("loading") == counts.fingerprint
    loading = _Loading(connection, source, vocabulary, batch, progress)
    await (loading.resume(graph) if resumed else loading.begin())
    await loading.run()
    return LoadedBase(counts, resumed=resumed)


class _Loading:
    """One load: clear the old edges, put concepts, put edges, sweep what is left of the old base."""

    def __init__(
        self,
        connection: Connection,
        source: BaseSource,
        vocabulary: Vocabulary,
        batch: int,
        progress: Callable[[str, int], None],
    ) -> None:
        self._connection, self._source, self._vocabulary = connection, source, vocabulary
        self._batch, self._progress = batch, progress
        self._fingerprint = source.counts.fingerprint
        self._generation, self._stage, self._position = 0, _CLEAR, 0

    async def begin(self) -> None:
        async def work(tx: Tx) -> int:
            return int((await one(tx, cypher.BEGIN_LOADING, fingerprint=self._fingerprint))["generation"])

        self._generation = await self._connection.write(work, PATIENCE_S)

    async def resume(self, graph: Mapping[str, Any]) -> None:
        self._generation, self._stage, self._position = graph["generation"], graph["stage"], graph["position"]

    async def run(self) -> None:
        if self._stage == _CLEAR:
            await self._until_none(cypher.CLEAR_EDGES, "cleared")
            await self._moved(_CONCEPTS, 0, {})
        if self._stage == _CONCEPTS:
            concepts = self._source.concepts(self._position)
            while rows := [_concept_row(c) for c in islice(concepts, self._batch)]:
                await self._moved(_CONCEPTS, len(rows), {cypher.PUT_CONCEPTS: rows})
            await self._moved(_EDGES, 0, {})
        if self._stage == _EDGES:
            edges = self._source.edges(self._position)
            while chunk := list(islice(edges, self._batch)):
                await self._moved(_EDGES, len(chunk), self._by_type(chunk))
            await self._moved(_SWEEP, 0, {})
        for statement in cypher.REHOME_OVERLAYS:
            await self._until_none(statement, "moved")
        await self._until_none(cypher.CLEAR_CONCEPTS, "cleared")
        await self._end()

    async def _moved(self, stage: str, count: int, statements: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Put a batch and move the place in the same transaction; done already where an outcome got lost."""
        start = (self._stage, self._position)
        end = (stage, self._position + count if stage == self._stage else 0)

        async def work(tx: Tx) -> None:
            at = await one(tx, cypher.LOCK_LOADING)
            if at["loading"] != self._fingerprint or (at["stage"], at["position"]) not in (start, end):
                raise StoreUnusable("another load of the base is under way; let it end, then try again")
            if (at["stage"], at["position"]) == end != start:
                return
            for statement, rows in statements.items():
                await done(tx, statement, rows=rows, generation=self._generation)
            await done(tx, cypher.MOVE_LOADING, stage=end[0], position=end[1])

        await self._connection.write(work, PATIENCE_S)
        self._stage, self._position = end
        self._progress(*end)

    async def _until_none(self, statement: str, counted: str) -> None:
        async def work(tx: Tx) -> int:
            return int((await one(tx, statement, count=self._batch, generation=self._generation))[counted])

        while await self._connection.write(work, PATIENCE_S):
            pass

    async def _end(self) -> None:
        counts = self._source.counts

        async def work(tx: Tx) -> None:
            await done(
                tx,
                cypher.END_LOADING,
                fingerprint=self._fingerprint,
                concepts=counts.concepts,
                edges=counts.edges,
                relations=sorted(counts.by_relation),
            )

        await self._connection.write(work, PATIENCE_S)

    def _by_type(self, edges: Sequence[RankedEdge]) -> dict[str, list[dict[str, Any]]]:
        rows: dict[str, list[dict[str, Any]]] = {}
        for edge in edges:
            kind = type_of(edge.relation, self._vocabulary)
            rows.setdefault(cypher.PUT_EDGES[kind], []).append(_edge_row(edge, kind))
        return dict(sorted(rows.items()))


def type_of(relation: str, vocabulary: Vocabulary) -> str:
    """The type of a base edge: the relation's own where this service lists it, read from the same ends; else CUSTOM."""
    listed = cypher.SYMMETRIC_TYPES if vocabulary.is_symmetric(relation) else cypher.DIRECTED_TYPES
    return relation if relation in listed else cypher.CUSTOM


def _concept_row(concept: BaseConcept) -> dict[str, Any]:
    return {
        "uri": uri_of(concept.key),
        "text": concept.text,
        "language": concept.language,
        "retrievable": concept.retrievable,
    }


def _edge_row(edge: RankedEdge, kind: str) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "weight": edge.weight,
        "dataset": edge.dataset,
        "license": edge.license,
        "surface_text": edge.surface_text,
        "rank": edge.rank,
        "back_rank": edge.back_rank,
    }
    if kind == cypher.CUSTOM:
        properties["relation"] = edge.relation
    return {"subject": uri_of(edge.head), "object": uri_of(edge.tail), "properties": properties}
