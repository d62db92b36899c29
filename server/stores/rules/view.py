"""A user's view, put together from the base's edges and the overlay's marks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from server.graph.concept import Concept
from server.graph.neighborhood import Neighborhood, RelationSlice, ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Triple, oriented


@dataclass(frozen=True, slots=True)
class BaseEdge:
    """A triple of the base, as read from the concept asked for."""

    triple: Triple
    weight: float
    dataset: str = ""
    license: str = ""

    def viewed(self, mark: Mark | None = None) -> ViewedTriple:
        return ViewedTriple(
            self.triple,
            mark.origin if mark else Origin.BASE,
            in_base=True,
            weight=self.weight,
            stamp=mark.stamp if mark else None,
            dataset=self.dataset,
            license=self.license,
        )


@dataclass(frozen=True, slots=True)
class BaseSlice:
    """The base's triples of one relation at a concept: how many there are, and the heaviest."""

    count: int
    edges: tuple[BaseEdge, ...]


def base_slice(
    count: int, stored: Sequence[BaseEdge], mirrored: Sequence[BaseEdge], limit: int
) -> BaseSlice:
    """A relation's slice from its stored edges, by rank, and those seen from their other end.

    `count` is how many there are in all. With mirrored edges among them, the heaviest come first,
    and ties go in the order of the tails.
    """
    edges = [*stored, *mirrored]
    if mirrored:
        edges.sort(key=lambda edge: (-edge.weight, edge.triple.tail))
    return BaseSlice(count, tuple(edges[:limit]))


def seen_from(
    marks: Mapping[Triple, Mark], head: Concept, vocabulary: Vocabulary
) -> dict[Triple, Mark]:
    """Those of `marks` that start at `head`. Symmetric triples are turned to start there."""
    turned = ((oriented(triple, head, vocabulary), mark) for triple, mark in marks.items())
    return {triple: mark for triple, mark in turned if triple.head == head}


def assemble_neighborhood(
    head: Concept,
    revision: int,
    base: Mapping[str, BaseSlice],
    marks: Mapping[Triple, Mark],
    marked_in_base: Collection[Triple],
    limit: int,
) -> Neighborhood:
    """The view at `head`: the base without what `marks` remove and with what they add.

    `marked_in_base` are the marked triples that the base has. At most `limit` of the base's triples
    are kept of each relation, so each of its slices must hold as many more as there are marked
    triples of that relation in the base.
    """
    by_relation: dict[str, dict[Triple, Mark]] = {relation: {} for relation in base}
    for triple, mark in marks.items():
        by_relation.setdefault(triple.relation, {})[triple] = mark
    slices = []
    for relation, own in sorted(by_relation.items(), key=itemgetter(0)):
        part = base.get(relation, BaseSlice(0, ()))
        count = part.count - sum(triple in marked_in_base for triple in own)
        personal = _personal(part, own, marked_in_base)
        if personal or count:
            unmarked = (edge.viewed() for edge in part.edges if edge.triple not in own)
            slices.append(RelationSlice(relation, personal, tuple(unmarked)[:limit], count))
    return Neighborhood(head, revision, tuple(slices))


def _personal(
    part: BaseSlice, own: Mapping[Triple, Mark], marked_in_base: Collection[Triple]
) -> tuple[ViewedTriple, ...]:
    """The triples that the user added, newest first. Those of the base keep its weight."""
    edges = {edge.triple: edge for edge in part.edges}
    added = [(triple, mark) for triple, mark in own.items() if mark.origin is Origin.ADDED]
    added.sort(key=lambda item: item[1].stamp, reverse=True)
    return tuple(
        edges[triple].viewed(mark)
        if triple in edges
        else _viewed_mark(triple, mark, marked_in_base)
        for triple, mark in added
    )


def _viewed_mark(triple: Triple, mark: Mark, marked_in_base: Collection[Triple]) -> ViewedTriple:
    return ViewedTriple(triple, mark.origin, in_base=triple in marked_in_base, stamp=mark.stamp)


def viewed_marks(
    marks: Mapping[Triple, Mark], marked_in_base: Collection[Triple]
) -> list[ViewedTriple]:
    """Marks as a page of a neighborhood lists them, including the removed ones."""
    return [_viewed_mark(triple, mark, marked_in_base) for triple, mark in marks.items()]


def newest_first(marks: Mapping[Triple, Mark]) -> list[tuple[Triple, Mark]]:
    """Marks by age, newest first."""
    return sorted(marks.items(), key=lambda item: (item[1].stamp, item[0]), reverse=True)
