"""From a file of triples to a store's base graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kgload.parse import BadLine
from server.errors import StartupError
from server.graph.relation import Vocabulary
from server.stores.sqlite_base import BASE_FILE, BaseCounts, BaseReader, BaseTriple, build_base

SHOWN_BAD_LINES = 20


class LoadError(StartupError):
    """A file that cannot be loaded; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load came to."""

    counts: BaseCounts
    bad_lines: int
    unchanged: bool


class _Sieve:
    """Lets triples through and keeps count of bad lines."""

    def __init__(self, parsed: Iterable[BaseTriple | BadLine]) -> None:
        self._parsed = parsed
        self.bad: list[BadLine] = []

    def __iter__(self) -> Iterator[BaseTriple]:
        for item in self._parsed:
            if isinstance(item, BadLine):
                self.bad.append(item)
            else:
                yield item


def load(parsed: Iterable[BaseTriple | BadLine], folder: Path, vocabulary: Vocabulary, *, replace: bool) -> Loaded:
    """Build the base in `folder` from parsed lines and swap it in; bad lines are printed and counted.

    The same graph again changes nothing. Raises LoadError when another graph is there and `replace` is not set, or when
    no line was a triple.
    """
    present = present_fingerprint(folder)
    sieve = _Sieve(parsed)
    scratch = folder / ".loading"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        counts = build_base(scratch, sieve, vocabulary)
        _show(sieve.bad)
        if counts.edges == 0:
            raise LoadError(f"no line was a triple ({len(sieve.bad)} bad lines); nothing was changed")
        if present and present != counts.fingerprint and not replace:
            raise LoadError(f"{folder} holds another base graph already; pass --replace to put this one in its place")
        if present != counts.fingerprint:
            (scratch / BASE_FILE).replace(folder / BASE_FILE)
    finally:
        (scratch / BASE_FILE).unlink(missing_ok=True)
        scratch.rmdir()
    return Loaded(counts, len(sieve.bad), unchanged=present == counts.fingerprint)


def present_fingerprint(folder: Path) -> str:
    """The fingerprint of the base in `folder`; empty where there is none."""
    reader = BaseReader(folder / BASE_FILE)
    try:
        return reader.fingerprint
    finally:
        reader.close()


def _show(bad: list[BadLine]) -> None:
    for line in bad[:SHOWN_BAD_LINES]:
        print(f"line {line.number}: {line.reason}")
    if len(bad) > SHOWN_BAD_LINES:
        print(f"... and {len(bad) - SHOWN_BAD_LINES} more bad lines")
