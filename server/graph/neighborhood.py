"""Neighborhoods: the triples that start at a concept, as one user sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from server.graph.concept import Concept
from server.graph.triple import Origin, Stamp, Triple


@dataclass(frozen=True, slots=True)
class ViewedTriple:
    """A triple as one user sees it.

    `in_base` says whether the shared graph has it; `weight`, `dataset` and `license` come from
    there. `stamp` says since when a personal triple is.
    """

    triple: Triple
    origin: Origin
    in_base: bool
    weight: float | None = None
    stamp: Stamp | None = None
    dataset: str = ""
    license: str = ""

    @property
    def is_personal(self) -> bool:
        """Whether the user added it."""
        return self.origin is Origin.ADDED

    @property
    def age(self) -> tuple[int, int]:
        """Orders personal triples, the newest first."""
        stamp = self.stamp or Stamp(0, 0)
        return -stamp.revision, -stamp.position


@dataclass(frozen=True, slots=True)
class RelationSlice:
    """The triples of one relation in a neighborhood, all of them in the view.

    `personal` has the user's own, newest first. `base` has the others, from the shared graph,
    heaviest first; on a hub it may be cut short, but `base_count` counts all of them.
    """

    relation: str
    personal: tuple[ViewedTriple, ...]
    base: tuple[ViewedTriple, ...]
    base_count: int

    @property
    def count(self) -> int:
        """How many triples of the relation start at the concept, as Eq. 5 counts them."""
        return len(self.personal) + self.base_count

    @property
    def triples(self) -> tuple[ViewedTriple, ...]:
        """The triples that were read: the user's own first."""
        return self.personal + self.base


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """The triples that start at `head`, at one revision of the overlay.

    The slices are in the order of their relations' names.
    """

    head: Concept
    revision: int
    slices: tuple[RelationSlice, ...]

    def slice(self, relation: str) -> RelationSlice:
        """The slice of `relation`, which is empty where there is none."""
        for found in self.slices:
            if found.relation == relation:
                return found
        return RelationSlice(relation, (), (), 0)

    def __iter__(self) -> Iterator[ViewedTriple]:
        return (viewed for s in self.slices for viewed in s.triples)

    def find(self, triple: Triple) -> ViewedTriple | None:
        """How the user sees `triple`; None where it is not in the view, or cut off on a hub."""
        for viewed in self.slice(triple.relation).triples:
            if viewed.triple == triple:
                return viewed
        return None

    @property
    def count(self) -> int:
        """How many triples start at the concept, those of cut slices too."""
        return sum(s.count for s in self.slices)

    def with_added(self, triple: Triple, stamp: Stamp) -> Neighborhood:
        """The view with `triple` as the user's own since `stamp`: each relation's newest first."""
        known = self.find(triple)
        part = self._slice_without(triple, known)
        seen = known or ViewedTriple(triple, Origin.BASE, in_base=False)
        added = replace(seen, origin=Origin.ADDED, stamp=stamp)
        personal = sorted((*part.personal, added), key=lambda v: v.age)
        return self._with_slice(replace(part, personal=tuple(personal)))

    def without(self, triple: Triple) -> Neighborhood:
        """The view without `triple`, whether it is personal or the base's."""
        known = self.find(triple)
        return self if known is None else self._with_slice(self._slice_without(triple, known))

    def _slice_without(self, triple: Triple, known: ViewedTriple | None) -> RelationSlice:
        """The slice of the relation of `triple`, without it; `known` is how the user saw it."""
        old = self.slice(triple.relation)
        was_base = known is not None and not known.is_personal
        return replace(
            old,
            personal=tuple(v for v in old.personal if v.triple != triple),
            base=tuple(v for v in old.base if v.triple != triple),
            base_count=old.base_count - was_base,
        )

    def _with_slice(self, changed: RelationSlice) -> Neighborhood:
        others = [s for s in self.slices if s.relation != changed.relation]
        slices = [*others, changed] if changed.count else others
        return replace(self, slices=tuple(sorted(slices, key=lambda s: s.relation)))
