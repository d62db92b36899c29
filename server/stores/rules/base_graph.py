"""The base graph: what it holds, and the fingerprint by which equal graphs are known.

The fingerprint is a hash over the XOR of the concepts' digests and the XOR of the edges'. A
concept's row is (its place among all keys in order, key). An edge's row is (the head's place,
relation, rank, the tail's place, weight in millionths). Equal graphs have equal fingerprints, in
whatever order and by whichever loader they were loaded.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BaseCounts:
    """What a base holds."""

    concepts: int
    edges: int
    fingerprint: str
    by_relation: Mapping[str, int]


def row_digest(*columns: object) -> int:
    """A row's share of the fingerprint: the MD5 of its columns as a number.

    MD5 since DuckDB computes it too; nothing is kept secret by it.
    """
    text = ",".join(str(column) for column in columns)
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest(), "little")


def micro(weight: float) -> int:
    """A weight in millionths, so that it does not matter how an engine prints floats."""
    return math.floor(weight * 1e6 + 0.5)


def base_fingerprint(concepts: int, edges: int) -> str:
    """The fingerprint of a base, from the XOR of its concepts' and that of its edges' digests."""
    return hashlib.sha256(f"{concepts:032x}{edges:032x}".encode()).hexdigest()[:16]
