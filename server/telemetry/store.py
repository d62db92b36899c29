"""A store whose methods are watched, each as an operation of the call that it serves."""

from __future__ import annotations

import functools
import inspect
from typing import Any, cast

from server.tuning.ports import GraphStore
from server.tuning.watching import call_watch


def watched(store: GraphStore) -> GraphStore:
    """The same store, as far as callers can tell."""
    return cast(GraphStore, _Watched(store))


class _Watched:
    def __init__(self, store: GraphStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        """The store's attribute. A method becomes one that is watched."""
        found = getattr(self._store, name)
        if not inspect.iscoroutinefunction(found):
            return found

        @functools.wraps(found)
        async def operation(*arguments: Any, **options: Any) -> Any:
            with call_watch.get().operation(name):
                return await found(*arguments, **options)

        setattr(self, name, operation)  # found at once from now on
        return operation
