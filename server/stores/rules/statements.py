"""The statements of a store as they are watched: by the names of the constants that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from types import ModuleType

from server.tuning.watching import call_watch


class Statements:
    """The statements that are constants of one module."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def watched(self, text: str) -> AbstractContextManager[None]:
        """Let the current call's watch see a statement, for as long as the context lasts."""
        return call_watch.get().statement(text, lambda: self.names)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The names of the statements, by their texts. A tuple holds several under one name."""
        named = {}
        for name, value in vars(self._module).items():
            for text in _texts(name, value):
                named[text] = name
        return named


def _texts(name: str, value: object) -> Iterator[str]:
    if name.isupper() and not name.startswith("_"):
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str):
                yield text
