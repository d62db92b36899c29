"""What an edit did, from systems that can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class EditAccount:
    """What one edit did."""

    extraction_ms: float | None = None
    """The part of its time in which relations were found; None where none are."""
    triples: int | None = None
    """How many triples it added and removed; None for a system without a graph."""
    refused: str = ""
    """Why nothing was edited; empty if it was."""


@runtime_checkable
class Accountable(Protocol):
    """A method that tells what its last edit did."""

    def account(self) -> EditAccount:
        """What the last edit did."""
        ...
