"""How a user's view is put together from what a store reads: the base's edges and the overlay's
marks."""

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
    """The base's triples of one relation at a concept: all of them counted, the heaviest read."""

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
    """Those of `marks` that start at `head`, symmetric ones turned to start there."""
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
    """The view at `head`: the base's slices without what `marks` remove, and with what they add,
    newest first.

    `marked_in_base` are those of the marked triples that the base has. Of each relation at most
    `limit` of the base's triples are kept; the base's slices must hold as many more as there are
    marked triples of their relation in the base.
    """
    by_relation: dict[str, dict[Triple, Mark]] = {relation: {} for relation in base}
    for triple, mark in marks.items():
        by_relation.setdefault(triple.relation, {})[triple] = mark
    slices = []
    for relation, own in sorted(by_relation.items(), key=itemgetter(0)):
        part = base.get(relation, BaseSlice(0, ()))
        weights = {e.triple: e for e in part.edges}
        added = sorted(
            (t for t, m in own.items() if m.origin is Origin.ADDED),
            key=lambda t: own[t].stamp,
            reverse=True,
        )
        personal = tuple(
            weights[t].viewed(own[t])
            if t in weights
            else ViewedTriple(t, Origin.ADDED, in_base=t in marked_in_base, stamp=own[t].stamp)
            for t in added
        )
        kept = tuple(e.viewed() for e in part.edges if e.triple not in own)[:limit]
        count = part.count - sum(t in marked_in_base for t in own)
        if personal or count:
            slices.append(RelationSlice(relation, personal, kept, count))
    return Neighborhood(head, revision, tuple(slices))


def viewed_marks(
    marks: Mapping[Triple, Mark], marked_in_base: Collection[Triple]
) -> list[ViewedTriple]:
    """Marks as a page of a neighborhood lists them, the removed ones too."""
    return [
        ViewedTriple(triple, mark.origin, in_base=triple in marked_in_base, stamp=mark.stamp)
        for triple, mark in marks.items()
    ]


def newest_first(marks: Mapping[Triple, Mark]) -> list[tuple[Triple, Mark]]:
    """Marks by age, the newest first."""
    return sorted(marks.items(), key=lambda item: (item[1].stamp, item[0]), reverse=True)
