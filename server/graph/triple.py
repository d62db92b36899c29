"""Triples, and the age of what a user did to one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from server.graph.concept import Concept
from server.graph.relation import Vocabulary


@dataclass(frozen=True, slots=True, order=True)
class Triple:
    """One statement: `head` stands in `relation` to `tail`. Equal by the concepts' keys and the
    relation's name."""

    head: Concept
    relation: str
    tail: Concept

    @classmethod
    def of(cls, head: str, relation: str, tail: str) -> Triple:
        """A triple between the concepts that the texts name; `relation` is taken as a name."""
        return cls(Concept.of(head), relation, Concept.of(tail))

    def mirrored(self) -> Triple:
        """The same statement of a symmetric relation, read from the other end."""
        return Triple(self.tail, self.relation, self.head)


class Origin(Enum):
    """Where a triple of a view comes from. REMOVED ones are no part of the view."""

    BASE = "base"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """When a user added or removed a triple: the edit's revision and the change's place in it.
    Later is newer."""

    revision: int
    position: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What an overlay says of a triple: added or removed, and since when. No mark: as in the base."""

    origin: Origin
    stamp: Stamp


def canonical(triple: Triple, vocabulary: Vocabulary) -> Triple:
    """The one form in which a statement is stored: of a symmetric relation, the end with the
    smaller key first."""
    if vocabulary.is_symmetric(triple.relation) and triple.tail < triple.head:
        return triple.mirrored()
    return triple


def oriented(triple: Triple, head: Concept, vocabulary: Vocabulary) -> Triple:
    """`triple` as read from `head`: mirrored where it is symmetric and starts at the other end."""
    if triple.head != head and triple.tail == head and vocabulary.is_symmetric(triple.relation):
        return triple.mirrored()
    return triple


def verbalize(triple: Triple, vocabulary: Vocabulary) -> str:
    """The triple as the fact that the model reads: "dog likes meat"."""
    return f"{triple.head.text} {vocabulary.phrase(triple.relation)} {triple.tail.text}"
