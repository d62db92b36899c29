"""The port to what watches the service: what a call does, how long that takes, what it waits for.

Nothing that goes through it may hold what a user wrote, or who the user is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from server.tuning.ports.model import ModelCost
from server.tuning.ports.store import GraphStore


class Sent(Protocol):
    """What is away: a request to another server, or a question at a replica of the model."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What names its trace to the other side. Empty unless traces are sent anywhere."""
        ...

    def read(self, tokens: int) -> None:
        """The other side read so many tokens for it, in addition to those already known."""
        ...

    def retried(self, what: str) -> None:
        """It is sent again: `what` is the kind of thing that is done again."""
        ...


class Asked(Protocol):
    """A question of a call to the model, from when it is put into the queue."""

    def sent(self, texts: int, tokens: int = 0) -> AbstractContextManager[Sent]:
        """So many of its texts, with so many tokens, are away for as long as the context lasts."""
        ...

    def ended(self) -> None:
        """The caller has the results, or wants them no more."""
        ...


class Watch(Protocol):
    """Watches one call. It may be used from any thread."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """A stage of the method, for as long as the context lasts."""
        ...

    def operation(self, name: str) -> AbstractContextManager[None]:
        """A method of the store, by its name. What is called inside belongs to it."""
        ...

    def statement(
        self, text: str, names: Callable[[], Mapping[str, str]]
    ) -> AbstractContextManager[None]:
        """A statement of the store. `names` has the names of all statements, by their texts."""
        ...

    def asked(self, kind: str) -> Asked:
        """A question that the model has just put into its queue."""
        ...

    def spent(self, cost: ModelCost) -> None:
        """What a part of the call cost the model."""
        ...

    def looked_up(self, cache: str, hits: int, misses: int) -> None:
        """How much a cache had, of what it was asked for."""
        ...

    def recalled(self, facts: int) -> None:
        """How many personal facts the user has."""
        ...

    def retried(self, what: str) -> None:
        """A write or a transaction is done again."""
        ...

    def ended(self, status: str) -> None:
        """The call has ended: the name of its gRPC status, and the error's reason behind it."""
        ...

    def ids(self) -> Mapping[str, str]:
        """What identifies the call in logs and traces."""
        ...


class Sight(Protocol):
    """Watches the whole server."""

    def call(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> Watch:
        """Watch a call of `SERVICE/METHOD` that begins now. Its metadata may name its trace."""
        ...

    def continued(self, headers: Mapping[str, str]) -> Watch:
        """Watch what this process does for a call of another one, which sent these headers."""
        ...

    def store(self, store: GraphStore) -> GraphStore:
        """The same store, whose methods are watched."""
        ...

    def forward_pass(
        self, number: int, reads: Sequence[tuple[Asked, int]]
    ) -> AbstractContextManager[None]:
        """A forward pass, and how many tokens it reads for each question."""
        ...

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """A figure that `read` returns at any time, on any thread, in no time."""
        ...

    def close(self) -> None:
        """Give away what has been seen so far, and stop."""
        ...
