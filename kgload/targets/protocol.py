"""What a target is to the loader: the store that a graph is loaded into, and read from again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kgload.limits import Limits
from kgload.notes import from_note, to_note
from kgload.recipe import Recipe
from kgload.source import Identity
from kgload.workspace import Workspace
from server.graph.relation import Vocabulary

HUBS = 10


@dataclass(frozen=True, slots=True)
class Choice:
    """What the options say about the target."""

    store: str
    """`sqlite`, or the address of a Neo4j."""
    folder: Path
    """The folder of the embedded store; every load has its workspace there."""
    offline: Path | None = None
    """The home of a Neo4j that is not running."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to load, and how."""

    file: str
    recipe: Recipe
    vocabulary: Vocabulary
    folder: Path
    """Where the workspace is."""
    limits: Limits
    replace: bool = False
    batch: int | None = None
    """Rows that are written at a time, where the user named a number."""


@dataclass(frozen=True, slots=True)
class LoadedFrom:
    """Where a base came from. The base keeps it as JSON, so fields are never renamed."""

    identity: Identity
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class PresentBase:
    """What the base in a store says of itself."""

    fingerprint: str
    """Empty where there is no base."""
    source: LoadedFrom | None
    """None where the base does not say, or not in a form that this version reads."""

    @property
    def file(self) -> str:
        """The name of the file that was loaded; empty where the base does not say."""
        return self.source.identity.name if self.source else ""


@dataclass(frozen=True, slots=True)
class Sampled:
    """An edge of the file, by the keys of its ends."""

    head: str
    relation: str
    tail: str
    weight: float
    dataset: str
    license: str
    merged: int
    surface_text: str | None


@dataclass(frozen=True, slots=True)
class Stats:
    """What a store holds. As JSON, this is what `stats --json` prints."""

    base_graph: str
    loaded_from: str
    concepts: int
    edges: int
    relations: Mapping[str, int]
    hubs: Mapping[str, int]
    users: int
    edits: int
    attribution: str


class StoredBase(Protocol):
    """The base in a store, as `verify` compares it."""

    @property
    def fingerprint(self) -> str: ...

    def present(self) -> PresentBase: ...

    def concepts(self) -> int: ...

    def counted_relations(self) -> dict[str, int]: ...

    def differing(self, sample: Sequence[Sampled]) -> list[str]:
        """How the stored edges differ from a sample of the file's, in words."""
        ...


class Target(Protocol):
    """A store that graphs are loaded into."""

    keeps_surface_text: bool
    """Whether the sentence of each line is loaded too."""

    def ready(self) -> AbstractContextManager[None]:
        """Surrounds a load: refuses early what cannot work, and prepares while the file is read.

        Raises LoadError and StoreUnusable.
        """
        ...

    def holds_a_base(self) -> bool: ...

    def holds(self, plan: Plan, identity: Identity) -> bool:
        """Whether the store certainly holds this very load, so that nothing needs to be read.

        Raises OtherBase where it certainly holds another, which the plan does not replace.
        """
        ...

    def put(self, workspace: Workspace, plan: Plan, scratch: Path) -> None:
        """Bring the graph of a workspace into the store, and say so if nothing changed.

        Raises LoadError and its kinds, and StoreUnusable.
        """
        ...

    def stored(self) -> StoredBase:
        """The base in the store. Raises LoadError where there is none."""
        ...

    def stats(self, vocabulary: Vocabulary) -> Stats:
        """What the store holds. Raises LoadError where there is none."""
        ...


def source_note(workspace: Workspace) -> str:
    """What a store keeps of where its base came from."""
    return to_note(LoadedFrom(workspace.identity, workspace.recipe))


def described(fingerprint: str, note: str) -> PresentBase:
    """A base by its fingerprint and its `source_note`, if that is there and can be read."""
    try:
        return PresentBase(fingerprint, from_note(LoadedFrom, note))
    except ValueError:
        return PresentBase(fingerprint, None)


def difference(
    edge: Sampled, stored: tuple[object, ...] | None, expected: tuple[object, ...]
) -> str:
    """How a stored edge differs from the file's, in words; empty where it does not.

    The first value is the weight, which may differ by rounding.
    """
    triple = f"({edge.head}, {edge.relation}, {edge.tail})"
    if stored is None:
        return f"{triple} is not in the store"
    weight = stored[0]
    same_weight = isinstance(weight, float) and math.isclose(weight, edge.weight, abs_tol=1e-6)
    if not same_weight or stored[1:] != expected[1:]:
        return f"{triple} has another weight, dataset or licence in the store"
    return ""
