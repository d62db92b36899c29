"""Shares of what is limited, so that nobody takes all of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Shares:
    """A limit on how many run at a time under one name.

    The others wait until one with their own name is done.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._gates: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @contextlib.asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        gate, inside = self._gates.get(name, (asyncio.Semaphore(self._most), 0))
        self._gates[name] = (gate, inside + 1)
        try:
            async with gate:
                yield
        finally:
            gate, inside = self._gates.pop(name)
            if inside > 1:
                self._gates[name] = (gate, inside - 1)
