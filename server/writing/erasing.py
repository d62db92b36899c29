"""The use case Erase: remove everything that this service keeps about a user."""

from __future__ import annotations

from collections.abc import Callable

from server.tuning.ports import Erased, GraphStore
from server.writing.turns import UserTurns, uncut


class Erasing:
    """Erases users: what the store holds, and what is remembered of the model's answers."""

    def __init__(self, store: GraphStore, turns: UserTurns, forget: Callable[[str], None]) -> None:
        """`forget` drops what is kept in memory about a user."""
        self._store = store
        self._turns = turns
        self._forget = forget

    async def erase(self, user: str, request_id: str | None) -> Erased:
        """Erase `user` once their earlier writes are done.

        A repeated `request_id` removes nothing and returns what the first erase removed. Raises
        StoreBusy.
        """
        try:
            async with self._turns.turn(user):
                return await uncut(self._store.erase(user, request_id))
        finally:
            self._forget(user)
