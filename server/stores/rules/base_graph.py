"""The base graph: what it holds, and the fingerprint by which equal graphs are known.

The fingerprint is a hash over the XOR of the concepts' digests and the XOR of the edges'. A
concept's row is (its place among all keys in order, key). An edge's row is (the head's place,
relation, rank, the tail's place, weight in millionths). Equal graphs have equal fingerprints, in
whatever order and by whichever loader they were loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BaseCounts:
    """What a base holds."""

    concepts: int
    edges: int
    fingerprint: str
    by_relation: Mapping[str, int]


def base_fingerprint(concepts: int, edges: int) -> str:
    """The fingerprint of a base, from the XOR of its concepts' and that of its edges' digests."""
    return hashlib.sha256(f"{concepts:032x}{edges:032x}".encode()).hexdigest()[:16]
