"""Neighborhoods: the triples that start at a concept, as one user sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from server.graph.concept import Concept
from server.graph.triple import Origin, Stamp, Triple


@dataclass(frozen=True, slots=True)
class ViewedTriple:
    """A triple as one user sees it.

    `in_base` says whether the shared graph has it; `weight`, `dataset` and `license` are the
    base's. `stamp` is the age of a personal one.
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
        return self.origin is Origin.ADDED


@dataclass(frozen=True, slots=True)
class RelationSlice:
    """A neighborhood's triples of one relation, all of them in the view.

    `personal` are the user's own, newest first; `base` the shared graph's others, heaviest first,
    which may be cut short on a hub: `base_count` counts all of them.
    """

    relation: str
    personal: tuple[ViewedTriple, ...]
    base: tuple[ViewedTriple, ...]
    base_count: int

    @property
    def count(self) -> int:
        """How many triples of the relation start at the concept: what Eq. 5 counts."""
        return len(self.personal) + self.base_count

    @property
    def triples(self) -> tuple[ViewedTriple, ...]:
        return self.personal + self.base


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """The triples that start at `head`, by relation in the order of their names, at a revision of
    the overlay."""

    head: Concept
    revision: int
    slices: tuple[RelationSlice, ...]

    def slice(self, relation: str) -> RelationSlice:
        """The slice of `relation`; an empty one where there is none."""
        return next(
            (s for s in self.slices if s.relation == relation), RelationSlice(relation, (), (), 0)
        )

    def __iter__(self) -> Iterator[ViewedTriple]:
        return (viewed for s in self.slices for viewed in s.triples)

    def find(self, triple: Triple) -> ViewedTriple | None:
        """How `triple` is seen, if it is in the view (and not beyond where a hub's slice was cut)."""
        return next((v for v in self.slice(triple.relation).triples if v.triple == triple), None)

    @property
    def count(self) -> int:
        return sum(s.count for s in self.slices)

    def with_added(self, triple: Triple, stamp: Stamp) -> Neighborhood:
        """The view with `triple` as the user's newest of its relation."""
        old, known = self.slice(triple.relation), self.find(triple)
        viewed = ViewedTriple(
            triple,
            Origin.ADDED,
            in_base=known is not None and known.in_base,
            weight=known.weight if known else None,
            stamp=stamp,
        )
        was_base = known is not None and not known.is_personal
        return self._with_slice(
            RelationSlice(
                old.relation,
                (viewed, *(v for v in old.personal if v.triple != triple)),
                tuple(v for v in old.base if v.triple != triple),
                old.base_count - was_base,
            )
        )

    def without(self, triple: Triple) -> Neighborhood:
        """The view without `triple`, be it personal or the base's."""
        old, known = self.slice(triple.relation), self.find(triple)
        if known is None:
            return self
        return self._with_slice(
            replace(
                old,
                personal=tuple(v for v in old.personal if v.triple != triple),
                base=tuple(v for v in old.base if v.triple != triple),
                base_count=old.base_count - (not known.is_personal),
            )
        )

    def _with_slice(self, changed: RelationSlice) -> Neighborhood:
        others = [s for s in self.slices if s.relation != changed.relation]
        slices = [*others, changed] if changed.count else others
        return replace(self, slices=tuple(sorted(slices, key=lambda s: s.relation)))
