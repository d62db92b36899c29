"""Small views and probabilities to work results out on by hand."""

from __future__ import annotations

from collections.abc import Mapping

from server.graph.concept import Concept
from server.graph.neighborhood import Neighborhood, RelationSlice, ViewedTriple
from server.graph.triple import Origin, Stamp, Triple
from server.tuning.objective import Probabilities
from server.tuning.recall import scope_weight

DOG = Concept.of("dog")
NEAR, TAUGHT = scope_weight(0.9, floor=0.75), scope_weight(1.0, floor=0.75)
"""The scope weights of a fact that a paraphrase is about, and of one that its own query is about:
e^1.2 and e^2."""


def z(relation: str, tail: str) -> Triple:
    """A triple that starts at dog."""
    return Triple(DOG, relation, Concept.of(tail))


def view(
    base: Mapping[str, list[str]], personal: Mapping[str, list[str]] | None = None
) -> Neighborhood:
    """What a user sees at dog: tails by relation, the heaviest or newest first."""
    personal = personal or {}
    slices = []
    for relation in sorted({*base, *personal}):
        own = tuple(
            ViewedTriple(z(relation, t), Origin.ADDED, in_base=False, stamp=Stamp(1, 9 - n))
            for n, t in enumerate(personal.get(relation, []))
        )
        shared = tuple(
            ViewedTriple(z(relation, t), Origin.BASE, in_base=True, weight=1.0)
            for t in base.get(relation, [])
        )
        slices.append(RelationSlice(relation, own, shared, len(shared)))
    return Neighborhood(DOG, 1 if personal else 0, tuple(slices))


def probabilities(
    relations: Mapping[str, float],
    reasoning: Mapping[tuple[str, str], Mapping[str, float]],
    scopes: Mapping[tuple[str, str], float] | None = None,
) -> Probabilities:
    """p(r), P(a|q,z) as {(relation, tail): {answer: P}}, and k(q,z) as {(relation, tail): k}."""
    return Probabilities(
        relations,
        {(z(r, t), a): p for (r, t), row in reasoning.items() for a, p in row.items()},
        {z(r, t): k for (r, t), k in (scopes or {}).items()},
    )
