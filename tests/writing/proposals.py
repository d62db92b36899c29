"""The least that can be proposed."""

from __future__ import annotations

from dataclasses import dataclass

from server.graph.edit import Edit
from server.tuning.ports import Snapshot


@dataclass(frozen=True, slots=True)
class Nothing:
    """An outcome without effect."""

    edits: tuple[Edit, ...] = ()


async def nothing(_: Snapshot) -> Nothing:
    return Nothing()
