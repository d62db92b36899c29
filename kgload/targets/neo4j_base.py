"""The base in a Neo4j, as `verify` and `stats` read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from kgload.errors import LoadError
from kgload.interrupts import run_async
from kgload.targets.protocol import HUBS, PresentBase, Sampled, Stats, described, difference
from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Connection, Neo4jLogin, Tx
from server.stores.neo4j.rows import uri_of
from server.stores.neo4j.schema import PATIENCE_S, present_graph

WholeEdge = tuple[float, str, str, int, str | None]
"""weight, dataset, license, number of merged lines, surface text"""


class Neo4jBase:
    """The base in a Neo4j; each question uses its own connection.

    Raises LoadError where there is no base, or half of one.
    """

    def __init__(self, login: Neo4jLogin) -> None:
        self._login = login
        self._graph = run_async(self._present_graph())
        if self._graph.get("state") == cypher.LOADING:
            raise LoadError(
                f"a base is being loaded into {login.url}: let it end, or run the same load again"
            )
        if not self._graph.get("fingerprint"):
            raise LoadError(
                f"{login.url} holds no base graph; fill it with `python -m kgload starter`"
            )

    @property
    def fingerprint(self) -> str:
        return str(self._graph["fingerprint"])

    def present(self) -> PresentBase:
        return described(self.fingerprint, str(self._graph.get("source", "")))

    def concepts(self) -> int:
        return int(self._rows(cypher.BASE_CONCEPTS)[0]["concepts"])

    def counted_relations(self) -> dict[str, int]:
        rows = [*self._rows(cypher.EDGES_BY_TYPE), *self._rows(cypher.EDGES_BY_CUSTOM_RELATION)]
        return {row["relation"]: row["edges"] for row in rows if row["edges"]}

    def differing(self, sample: Sequence[Sampled]) -> list[str]:
        found = self.whole_edges(
            [(uri_of(edge.head), edge.relation, uri_of(edge.tail)) for edge in sample]
        )
        differences = []
        for edge, stored in zip(sample, found, strict=True):
            expected = (edge.weight, edge.dataset, edge.license, edge.merged, edge.surface_text)
            if len(stored) > 1:
                differences.append(
                    f"({edge.head}, {edge.relation}, {edge.tail}) is in the store"
                    f" {len(stored)} times"
                )
            elif words := difference(edge, stored[0] if stored else None, expected):
                differences.append(words)
        return differences

    def whole_edges(self, triples: Sequence[tuple[str, str, str]]) -> list[list[WholeEdge]]:
        """The stored edges for each (uri, relation, uri): exactly one, if all is well."""
        found: list[list[WholeEdge]] = [[] for _ in triples]
        for row in self._rows(cypher.WHOLE_EDGES, rows=[list(triple) for triple in triples]):
            edge = (
                row["weight"],
                row["dataset"],
                row["license"],
                row["merged"],
                row["surface_text"],
            )
            found[row["at"]].append(edge)
        return found

    def largest_hubs(self, count: int) -> list[tuple[str, int]]:
        """(text, edges at both ends) of the concepts with the most edges of the base.

        Reads the degree of every concept. A degree counts users' edges too, so more candidates are
        read until no other concept can have as many edges of the base.
        """
        candidates = 10 * count
        while True:
            busiest = self._rows(cypher.BUSIEST, count=candidates)
            exact = self._rows(cypher.BASE_DEGREES, uris=[row["uri"] for row in busiest])
            hubs = sorted(exact, key=lambda row: (-row["edges"], row["uri"]))[:count]
            if len(busiest) < candidates or hubs[-1]["edges"] > busiest[-1]["degree"]:
                return [(row["text"], row["edges"]) for row in hubs]
            candidates *= 10

    def stats(self) -> Stats:
        """What the graph holds."""
        present, relations = self.present(), self.counted_relations()
        totals = self._rows(cypher.COUNTS)[0]
        return Stats(
            base_graph=self.fingerprint,
            loaded_from=present.file,
            concepts=self.concepts(),
            edges=sum(relations.values()),
            relations=relations,
            hubs=dict(self.largest_hubs(HUBS)),
            users=totals["users"],
            edits=totals["edits"],
            attribution=present.source.recipe.attribution if present.source else "",
        )

    def _rows(self, statement: LiteralString, **parameters: Any) -> list[dict[str, Any]]:
        """The rows of a reading statement."""
        return run_async(self._read(statement, parameters))

    async def _read(
        self, statement: LiteralString, parameters: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        async def work(tx: Tx) -> list[dict[str, Any]]:
            return [dict(record) async for record in await tx.run(statement, dict(parameters))]

        async with Connection(self._login) as connection:
            return await connection.read(work, PATIENCE_S)

    async def _present_graph(self) -> Mapping[str, Any]:
        async with Connection(self._login) as connection:
            await connection.require_usable()
            return await present_graph(connection)
