"""The suite that every GraphStore passes: one class for each topic, and all of them together.

A store's own test class inherits from `GraphStoreConformance` and implements the three methods of
`GraphStoreSuite`. It overrides nothing else and skips nothing: a visible difference between two
stores is a bug, so what a store must do is written here and not next to one of the stores. A new
topic is one file here and one line below.
"""

from __future__ import annotations

from tests.conformance.graph_store.checks import Checks
from tests.conformance.graph_store.commits import Commits
from tests.conformance.graph_store.copies import Copies
from tests.conformance.graph_store.damage import Damage
from tests.conformance.graph_store.erasing import Erasing
from tests.conformance.graph_store.graph import (
    BASE,
    BONES,
    CARROTS,
    DOG,
    MEAT,
    SOFA,
    VOCABULARY,
    t,
)
from tests.conformance.graph_store.history import History
from tests.conformance.graph_store.neighborhoods import Neighborhoods
from tests.conformance.graph_store.overlays import Overlays
from tests.conformance.graph_store.pages import Pages
from tests.conformance.graph_store.requests import Requests
from tests.conformance.graph_store.room import Rooms
from tests.conformance.graph_store.steps import add, added, edit, every_page, remove, tails
from tests.conformance.graph_store.suite import BROKEN_BODY
from tests.conformance.graph_store.transfer import Transfer
from tests.conformance.graph_store.undo import Undo

__all__ = [
    "BASE",
    "BONES",
    "BROKEN_BODY",
    "CARROTS",
    "DOG",
    "MEAT",
    "SOFA",
    "VOCABULARY",
    "GraphStoreConformance",
    "add",
    "added",
    "edit",
    "every_page",
    "remove",
    "t",
    "tails",
]


class GraphStoreConformance(
    Neighborhoods,
    Overlays,
    Commits,
    Requests,
    History,
    Pages,
    Damage,
    Undo,
    Transfer,
    Rooms,
    Erasing,
    Copies,
    Checks,
):
    """Everything that a store must do."""
