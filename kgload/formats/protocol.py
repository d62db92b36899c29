"""What a format of files is to the loader."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kgload.database import Database
from kgload.recipe import Recipe
from kgload.rejects import Rejects
from kgload.report import Report
from kgload.source import Source
from server.graph.relation import Vocabulary


@dataclass(frozen=True, slots=True)
class Job:
    """One file to read, and what the reading works with."""

    source: Source
    recipe: Recipe
    folder: Path
    """For the files in between."""
    db: Database
    rejects: Rejects
    report: Report


class Reading(Protocol):
    """One pass over a file. It leaves the view `raw` in the database: a row for each line."""

    @property
    def records(self) -> int:
        """How many lines there were to keep or to reject: those with text, but not the header."""
        ...

    def read(self) -> int:
        """Read the file. Returns how many lines are malformed. Raises LoadError and its kinds."""
        ...

    def tell_rejected(self, rejected: int) -> None:
        """Tell the malformed lines, unless `read` has: merging may have found more of them."""
        ...


class Format(Protocol):
    """A kind of file: its command, and how it is read."""

    name: str
    """The command, and `Recipe.form`."""
    help: str
    epilog: str
    has_surface_text: bool
    """Whether its lines say in a sentence what they mean."""

    def add_arguments(self, command: argparse.ArgumentParser) -> None:
        """Add the options of the command; the file is `file`."""
        ...

    def recipe(
        self, options: argparse.Namespace, vocabulary: Vocabulary
    ) -> tuple[Recipe, Vocabulary]:
        """What the options ask for, and the vocabulary with what they declare. Raises LoadError."""
        ...

    def require(self, source: Source) -> None:
        """Raise WrongFile where the file is certainly of another kind."""
        ...

    def kept_bytes(self, source: Source, recipe: Recipe) -> int:
        """About how much of the text will be kept, rather too low than too high."""
        ...

    def reading(self, job: Job) -> Reading: ...
