"""The ports: what the method needs from a language model and from a graph store, and who watches.

Values go in and come out. No engine is named.
"""

from __future__ import annotations

from server.tuning.ports.model import (
    Branch,
    ContinuationLogprob,
    GenerateRequest,
    Key,
    LanguageModel,
    ModelCost,
    Normalization,
    Piece,
    Scores,
)
from server.tuning.ports.sight import Asked, Sent, Sight, Watch
from server.tuning.ports.store import (
    KEPT_ERASURES_S,
    KEPT_RESPONSES,
    ConceptEntry,
    Erased,
    GraphStore,
    Listing,
    OverlayOf,
    Page,
    PersonalFact,
    RequestRecord,
    Snapshot,
    StoreCounts,
    Tombstone,
    Usage,
)

__all__ = [
    "KEPT_ERASURES_S",
    "KEPT_RESPONSES",
    "Asked",
    "Branch",
    "ConceptEntry",
    "ContinuationLogprob",
    "Erased",
    "GenerateRequest",
    "GraphStore",
    "Key",
    "LanguageModel",
    "Listing",
    "ModelCost",
    "Normalization",
    "OverlayOf",
    "Page",
    "PersonalFact",
    "Piece",
    "RequestRecord",
    "Scores",
    "Sent",
    "Sight",
    "Snapshot",
    "StoreCounts",
    "Tombstone",
    "Usage",
    "Watch",
]
