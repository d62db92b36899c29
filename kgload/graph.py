"""A Neo4j's base as `verify` and `stats` read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from kgload.embedded import PresentBase, described
from kgload.errors import LoadError
from kgload.interrupts import run_async
from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Connection, Neo4jLogin, Tx
from server.stores.neo4j.schema import PATIENCE_S, present_graph

WholeEdge = tuple[float, str, str, int, str | None]
"""weight, dataset, license, number of merged lines, surface text"""


class GraphBase:
    """The base in a Neo4j, read over a connection a question. Raises LoadError where there is none,
    or half of one."""

    def __init__(self, login: Neo4jLogin) -> None:
        self._login = login
        self.graph = run_async(self._graph())
        if self.graph.get("state") == cypher.LOADING:
            raise LoadError(
                f"a base is being loaded into {login.url}: let it end, or run the same load again"
            )
        if not self.graph.get("fingerprint"):
            raise LoadError(
                f"{login.url} holds no base graph; fill it with `python -m kgload starter`"
            )

    @property
    def fingerprint(self) -> str:
        return str(self.graph["fingerprint"])

    def present(self) -> PresentBase:
        """What the base says of itself."""
        return described(self.fingerprint, str(self.graph.get("source", "")))

    def concepts(self) -> int:
        """Concepts, counted."""
        return int(self.rows(cypher.BASE_CONCEPTS)[0]["concepts"])

    def counted_relations(self) -> dict[str, int]:
        """Edges by relation, counted."""
        rows = [*self.rows(cypher.EDGES_BY_TYPE), *self.rows(cypher.EDGES_BY_CUSTOM_RELATION)]
        return {row["relation"]: row["edges"] for row in rows if row["edges"]}

    def whole_edges(self, triples: Sequence[tuple[str, str, str]]) -> list[list[WholeEdge]]:
        """What is stored of each (uri, relation, uri): one edge, if all is well."""
        found: list[list[WholeEdge]] = [[] for _ in triples]
        for row in self.rows(cypher.WHOLE_EDGES, rows=[list(triple) for triple in triples]):
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
        """(text, edges at both ends) of the concepts with the most edges of the base; reads every
        concept's degree.

        Users' edges count in what is read first, so more are read until no other concept can have
        as many.
        """
        candidates = 10 * count
        while True:
            busiest = self.rows(cypher.BUSIEST, count=candidates)
            exact = self.rows(cypher.BASE_DEGREES, uris=[row["uri"] for row in busiest])
            hubs = sorted(exact, key=lambda row: (-row["edges"], row["uri"]))[:count]
            if len(busiest) < candidates or hubs[-1]["edges"] > busiest[-1]["degree"]:
                return [(row["text"], row["edges"]) for row in hubs]
            candidates *= 10

    def totals(self) -> Mapping[str, int]:
        """concepts, triples, users and edits."""
        return self.rows(cypher.COUNTS)[0]

    def rows(self, statement: LiteralString, **parameters: Any) -> list[dict[str, Any]]:
        """The rows of a reading statement of server.stores.cypher."""
        return run_async(self._read(statement, parameters))

    async def _read(
        self, statement: LiteralString, parameters: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        async def work(tx: Tx) -> list[dict[str, Any]]:
            return [dict(record) async for record in await tx.run(statement, dict(parameters))]

        async with Connection(self._login) as connection:
            return await connection.read(work, PATIENCE_S)

    async def _graph(self) -> Mapping[str, Any]:
        async with Connection(self._login) as connection:
            await connection.require_usable()
            return await present_graph(connection)
