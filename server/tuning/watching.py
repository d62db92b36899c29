"""What watches the current call. It is nothing unless the server is set up to be watched.

It travels in the context, like the deadline, so that no use case has to pass it on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

from server.tuning.ports.model import ModelCost
from server.tuning.ports.sight import Asked, Sent, Sight, Watch
from server.tuning.ports.store import GraphStore

_NOTHING: AbstractContextManager[None] = nullcontext()
_NO_IDS: Mapping[str, str] = {}


class _Unsent:
    headers: Mapping[str, str] = {}

    def read(self, tokens: int) -> None:
        pass

    def retried(self, what: str) -> None:
        pass


UNSENT: AbstractContextManager[Sent] = nullcontext(_Unsent())
"""What is away for no call."""


class _Unasked:
    def sent(self, texts: int, tokens: int = 0) -> AbstractContextManager[Sent]:
        return UNSENT

    def ended(self) -> None:
        pass


class Unwatched:
    """A watch that sees nothing."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        return _NOTHING

    def operation(self, name: str) -> AbstractContextManager[None]:
        return _NOTHING

    def statement(
        self, text: str, names: Callable[[], Mapping[str, str]]
    ) -> AbstractContextManager[None]:
        return _NOTHING

    def asked(self, kind: str) -> Asked:
        return UNASKED

    def spent(self, cost: ModelCost) -> None:
        pass

    def looked_up(self, cache: str, hits: int, misses: int) -> None:
        pass

    def recalled(self, facts: int) -> None:
        pass

    def retried(self, what: str) -> None:
        pass

    def ended(self, status: str) -> None:
        pass

    def ids(self) -> Mapping[str, str]:
        return _NO_IDS


class _Unseen:
    def call(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> Watch:
        return UNWATCHED

    def continued(self, headers: Mapping[str, str]) -> Watch:
        return UNWATCHED

    def store(self, store: GraphStore) -> GraphStore:
        return store

    def forward_pass(
        self, number: int, reads: Sequence[tuple[Asked, int]]
    ) -> AbstractContextManager[None]:
        return _NOTHING

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        pass

    def close(self) -> None:
        pass


UNASKED: Asked = _Unasked()
UNWATCHED: Watch = Unwatched()
"""A call that nobody watches, and everything that is done for no call."""
UNSEEN: Sight = _Unseen()

call_watch: ContextVar[Watch] = ContextVar("call_watch", default=UNWATCHED)


@contextmanager
def question(kind: str) -> Iterator[Asked]:
    """A question of the current call to a model elsewhere, for as long as the context lasts."""
    asked = call_watch.get().asked(kind)
    try:
        yield asked
    finally:
        asked.ended()
