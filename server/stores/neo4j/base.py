"""A base graph to be loaded: its concepts, its edges, and the order in which lanes put them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from server.graph.relation import Vocabulary
from server.stores.neo4j import cypher
from server.stores.rules.base_graph import BaseCounts


class PlacedConcept(NamedTuple):
    """A concept to be loaded. `place` is its place among all by key, from 1 on.

    `retrievable` is how many triples of retrievable relations start at it.
    """

    place: int
    uri: str
    text: str
    language: str
    retrievable: int


class RankedEdge(NamedTuple):
    """An edge to be loaded, in canonical form. `head` and `tail` are the places of its concepts.

    `rank` is its place among the head's edges of the relation: the heaviest has 0, and there are no
    gaps. `back_rank` is the same at the tail; it is None if the relation is not symmetric, or if
    head and tail are one concept. `surface_text` is None if the file says nothing in words.
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
    """What a base says about itself.

    `source` is its file and options, as JSON. `declared` has the relations that it brings along, as
    TOML.
    """

    source: str = ""
    declared: str = ""


class BaseSource(Protocol):
    """A base in a fixed order, so that loading can go on at any place. No triple comes twice."""

    @property
    def counts(self) -> BaseCounts: ...

    @property
    def lanes(self) -> int:
        """How many lanes may load it at the same time."""
        ...

    def concepts(self, lane: int, start: int) -> Iterator[PlacedConcept]:
        """The concepts of a lane from its place `start` on."""
        ...

    def edges(self, round: int, lane: int, start: int) -> Iterator[RankedEdge]:
        """The edges of a lane in a round (see `meetings`) from their place `start` on."""
        ...


@dataclass(frozen=True, slots=True)
class Meeting:
    """The edges between the concepts of two buckets, and the round and lane that put them.

    `low` <= `high` are the buckets.
    """

    low: int
    high: int
    round: int
    lane: int


def meetings(lanes: int) -> list[Meeting]:
    """Which buckets meet in which round, so that lanes never touch one concept at the same time.

    Neo4j locks both ends of an edge that it makes until the transaction ends. Lanes that shared
    concepts would wait for each other and deadlock. So concepts are in 2 * lanes buckets, and each
    two buckets meet once, as teams do in a tournament: in a round, each bucket is in one lane only.
    Edges within a bucket go into its first round.
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


def type_of(relation: str, vocabulary: Vocabulary) -> str:
    """The type of a base edge: the relation's own, or CUSTOM.

    A relation has a type of its own if this service lists it and reads it from the same ends.
    """
    listed = cypher.SYMMETRIC_TYPES if vocabulary.is_symmetric(relation) else cypher.DIRECTED_TYPES
    return relation if relation in listed else cypher.CUSTOM
