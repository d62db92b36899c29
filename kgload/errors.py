"""The errors of the loader. Each message says what to do next; the store was not changed."""

from __future__ import annotations

from server.errors import StartupError


class LoadError(StartupError):
    """A load that cannot be done as asked."""


class WrongFile(LoadError):
    """The file is not what the command reads."""


class TooManyErrors(LoadError):
    """More malformed lines than `--max-errors`."""


class OtherBase(LoadError):
    """The store holds another base graph, and `--replace` was not given."""


class DiskFull(LoadError):
    """The disk has too little room for the load."""


class Miscounted(LoadError):
    """Some lines were neither kept nor rejected: a fault of the loader, and no count is shown."""
