"""Triples, and the marks that a user's overlay puts on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from server.graph.concept import Concept
from server.graph.relation import Vocabulary


@dataclass(frozen=True, slots=True, order=True)
class Triple:
    """One statement: `head` stands in `relation` to `tail`.

    Triples are equal if their concepts' keys and their relations' names are.
    """

    head: Concept
    relation: str
    tail: Concept

    @classmethod
    def of(cls, head: str, relation: str, tail: str) -> Triple:
        """A triple between the concepts that the texts name; `relation` is taken as a name."""
        return cls(Concept.of(head), relation, Concept.of(tail))

    @property
    def slot(self) -> tuple[Concept, str]:
        """What it gives a value of: its head's relation."""
        return self.head, self.relation

    def mirrored(self) -> Triple:
        """The same statement of a symmetric relation, read from the other end."""
        return Triple(self.tail, self.relation, self.head)


class Origin(Enum):
    """Where a triple comes from, as one user sees it. A REMOVED triple is not in the view."""

    BASE = "base"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """When a user added or removed a triple: the edit's revision and the change's place in it.

    The greater stamp is the newer one.
    """

    revision: int
    position: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What an overlay says about a triple: added or removed, and since when.

    A triple without a mark is as in the base.
    """

    origin: Origin
    stamp: Stamp


def canonical(triple: Triple, vocabulary: Vocabulary) -> Triple:
    """The one form in which a statement is stored.

    A symmetric relation has the end with the smaller key first.
    """
    if vocabulary.is_symmetric(triple.relation) and triple.tail < triple.head:
        return triple.mirrored()
    return triple


def oriented(triple: Triple, head: Concept, vocabulary: Vocabulary) -> Triple:
    """`triple` as read from `head`: mirrored if it is symmetric and starts at the other end."""
    if triple.head != head and triple.tail == head and vocabulary.is_symmetric(triple.relation):
        return triple.mirrored()
    return triple


def verbalize(triple: Triple, vocabulary: Vocabulary, *, owned: bool = False) -> str:
    """The triple as the sentence that the model reads: "dog likes meat".

    With `owned`, the head is the user's own: "my dog likes carrots".
    """
    said = f"{triple.head.text} {vocabulary.phrase(triple.relation)} {triple.tail.text}"
    return f"my {said}" if owned else said
