"""What is under way, of each user and of all: counted and bounded."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

from server.errors import LimitReached

Refusal = Callable[[str, int], LimitReached]
"""Makes the error from whose limit was reached, "user" or "server", and the limit."""


class UnderWay:
    """Counts calls of one kind by user."""

    def __init__(self, refusal: Refusal, of_user: int, of_all: int | None = None) -> None:
        self._refusal = refusal
        self._of_user = of_user
        self._of_all = of_all
        self._users: Counter[str] = Counter()

    @contextlib.contextmanager
    def begun(self, user: str) -> Iterator[None]:
        """Count one of this user's until the block ends. Raises the refusal."""
        if self._of_all is not None and self._users.total() >= self._of_all:
            raise self._refusal("server", self._of_all)
        if self._users[user] >= self._of_user:
            raise self._refusal("user", self._of_user)
        self._users[user] += 1
        try:
            yield
        finally:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]
