"""What Learn found in a message, and what it would commit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from server.graph.edit import Edit
from server.graph.triple import Triple
from server.tuning.cost import Cost
from server.tuning.learn.filing import Unfiled


class Fate(Enum):
    """What became of a fact that was found in a message."""

    LEARNED = "learned"
    KNOWN = "known"
    """The user has said so before."""
    NOT_GIVEN_BACK = "not_given_back"
    """It was not committed: asked for it, the service would not answer with it."""
    TAKEN_BACK = "taken_back"
    NOT_THERE = "not_there"
    """It was to be taken back, and the user has never said it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A fact that was found in a message, and what became of it."""

    triple: Triple
    words: str
    """The triple as the model reads it: "my dog likes carrots"."""
    fate: Fate
    source: str
    """The part of the message that says it."""
    removed: tuple[Triple, ...] = ()
    """What it takes the place of, or what is taken back."""
    query: str = ""
    """What the service was asked to see whether it gives the fact back; empty if it was not."""
    answer: str = ""
    """What it answered."""
    probability_before: float = math.nan
    """P(a|q) of the fact's tail by Eq. 1 over the facts of an answer; NaN where it was not asked
    for."""
    probability_after: float = math.nan


@dataclass(frozen=True, slots=True)
class LearnOutcome:
    """The facts of a message, the edit that they come to, and what was not understood."""

    edit: Edit
    """Without an id if nothing was learned or taken back."""
    found: tuple[Found, ...]
    not_understood: tuple[Unfiled, ...]
    cost: Cost
    preview: bool

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits to commit: none for a preview, and none if nothing changes."""
        return () if self.preview or not self.edit.id else (self.edit,)
