"""The use case Erase: remove everything that this service keeps about a user."""

from __future__ import annotations

from server.tuning.memory import Memories
from server.tuning.ports import Erased, GraphStore
from server.writing.turns import UserTurns, uncut


class Erasing:
    """Erases users: what the store holds, and what is remembered of the model's answers."""

    def __init__(self, store: GraphStore, turns: UserTurns, memories: Memories) -> None:
        self._store = store
        self._turns = turns
        self._memories = memories

    async def erase(self, user: str, request_id: str | None) -> Erased:
        """Erase `user` once their earlier writes are done.

        A repeated `request_id` removes nothing and returns what the first erase removed. Raises
        StoreBusy.
        """
        try:
            async with self._turns.turn(user):
                return await uncut(self._store.erase(user, request_id))
        finally:
            self._memories.forget(user)
