"""The use case Erase: remove everything that this service keeps about a user."""

from __future__ import annotations

from typing import Protocol

from server.tuning.ports import Erased, GraphStore
from server.writing.turns import UserTurns, uncut


class Remembering(Protocol):
    """What keeps in memory what it read about users."""

    def forget(self, user: str) -> None:
        """Drop what is kept about a user."""
        ...

    async def forget_erased(self) -> None:
        """Drop what is kept about users whom any server erased."""
        ...


class Erasing:
    """Erases users: what the store holds, and what is remembered of the model's answers."""

    def __init__(self, store: GraphStore, turns: UserTurns, remembering: Remembering) -> None:
        self._store = store
        self._turns = turns
        self._remembering = remembering
        self._followed = -1

    async def erase(self, user: str, request_id: str | None) -> Erased:
        """Erase `user` once their earlier writes are done.

        A repeated `request_id` removes nothing and returns what the first erase removed. Raises
        StoreBusy.
        """
        try:
            async with self._turns.turn(user):
                return await uncut(self._store.erase(user, request_id))
        finally:
            self._remembering.forget(user)

    async def follow(self) -> None:
        """Forget users whom other servers over the same store erased since the last call."""
        erasures = await self._store.erasures()
        if erasures != self._followed:
            await self._remembering.forget_erased()
            self._followed = erasures
