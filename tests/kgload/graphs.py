"""The whole graph that a loader made in a Neo4j, and an empty one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from server.stores.neo4j.connection import Connection, Neo4jLogin, Tx
from server.stores.neo4j.schema import PATIENCE_S
from tests.kgload.dumps import dump, line

_CONCEPTS = """
MATCH (c:Concept)
RETURN c.uri AS uri, c.text AS text, c.language AS language, c.retrievable AS retrievable
ORDER BY uri
"""
_EDGES = """
MATCH (s:Concept)-[r]->(o:Concept) WHERE NOT type(r) IN ['ADDED', 'DELETED']
RETURN s.uri AS head, type(r) AS type, r.relation AS relation, o.uri AS tail,
  r.rank AS rank, r.back_rank AS back_rank, r.weight AS weight, r.dataset AS dataset,
  r.license AS license, r.surface_text AS surface_text, r.merged AS merged
ORDER BY head, type, relation, rank
"""
_GRAPH = """
MATCH (g:Graph)
RETURN g.state AS state, g.fingerprint AS fingerprint, g.concepts AS concepts,
  g.edges AS edges, g.relations AS relations, g.declared AS declared
"""

TEN_RELATIONS = (
    "IsA",
    "RelatedTo",
    "Synonym",
    "Antonym",
    "UsedFor",
    "CapableOf",
    "Desires",
    "HasA",
    "PartOf",
    "DistinctFrom",
)
REAL = [
    line("IsA", "o'brien's_dog", "dog", surfaceText="[[O'Brien's dog]] is a [[\"dog\"]]"),
    line("IsA", "dog", "animal", 1.0, surfaceText="*[[dog]] light"),
    line("IsA", "dog/n", "animal", 3.0, surfaceText="[[a dog]] is\nan  [[animal]]; truly, so"),
    line("IsA", "dog/n/wn", "animal", 2.0),
    line("RelatedTo", "self", "self", surfaceText=None),
    line("IsA", "7_up", "2_litre_bottle", 2),
    line("Synonym", "/c/zh/犬", "/c/en/dog", 2.0, surfaceText="犬 = dog"),
    line("IsA", "/c/ru/собака", "/c/ru/животное"),
    line("Synonym", "/c/ar/كلب", "/c/en/dog"),
    line("RelatedTo", "dog", "x" * 300),
    line("RelatedTo", "x" * 300, "/c/fr/été_à_paris"),
    line("HasProperty", "\ufdfa" * 15, "long"),
    line("UnheardOf", "dog", "bone"),
    line("dbpedia/genre", "dog", "pop"),
    *(line(relation, "dog", "cat", n) for n, relation in enumerate(TEN_RELATIONS, 1)),
]
"""Lines like real ones: apostrophes, quotes, digits, other scripts, texts too long for an index,
self loops, ten relations of one pair, a relation outside the list, lines that merge."""


def real(path: Path) -> Path:
    return dump(path, REAL)


def rows(login: Neo4jLogin, statement: str) -> list[dict[str, Any]]:
    """The rows of a statement."""

    async def work(tx: Tx) -> list[dict[str, Any]]:
        return [dict(record) async for record in await tx.run(statement)]  # type: ignore[arg-type]

    async def read() -> list[dict[str, Any]]:
        async with Connection(login) as connection:
            return await connection.write(work, PATIENCE_S)

    return asyncio.run(read())


def content(login: Neo4jLogin) -> dict[str, Iterable[dict[str, Any]]]:
    """Everything in the base that users, and people who look at the graph, can see, in order."""
    return {
        "concepts": rows(login, _CONCEPTS),
        "edges": rows(login, _EDGES),
        "graph": rows(login, _GRAPH),
    }


def empty(login: Neo4jLogin) -> None:
    """Delete every node."""
    rows(login, "MATCH (n) DETACH DELETE n")


def said_of(login: Neo4jLogin, head: str, relation: str, tail: str) -> list[tuple[Any, ...]]:
    """(weight, surface text, merged) of the edges between two uris."""
    names = ("weight", "surface_text", "merged")
    found = [
        row
        for row in rows(login, _EDGES)
        if (row["head"], row["relation"] or row["type"], row["tail"]) == (head, relation, tail)
    ]
    return [tuple(map(row.get, names)) for row in found]
