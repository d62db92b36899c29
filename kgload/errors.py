"""What a loader refuses, and why. Every message says what to do next; nothing was changed."""

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
    """The disk has not the room that the load takes."""


class Miscounted(LoadError):
    """Lines were neither kept nor rejected: a fault of the loader, which it tells rather than a
    wrong count."""
