"""What Personalize found, and what it would commit."""

from __future__ import annotations

import math
from dataclasses import dataclass

from server.graph.edit import Account, Edit, TripleProbabilities
from server.graph.triple import Triple
from server.tuning.cost import Cost
from server.tuning.subject.choice import Match


@dataclass(frozen=True, slots=True)
class PersonalizeOutcome:
    """The edit, its account, and the figures behind them."""

    edit: Edit
    """Without an id if the answer was the feedback already."""
    account: Account
    subject: Match
    alternatives: tuple[Match, ...]
    cost: Cost
    preview: bool
    explanation: str = ""
    """Why the request did not converge; empty if it did."""
    considered: tuple[tuple[Triple, TripleProbabilities], ...] = ()
    """H."""
    unscored_mass_before: float = 0.0
    """The retrieval mass that was not scored: the most that Eq. 1 over the whole view misses."""
    unscored_mass_after: float = 0.0
    approximate: bool = False
    answer_logprob_before: float = math.nan
    """ln P(a|q) of the feedback by Eq. 1 over the facts of an answer; NaN if not computed."""
    answer_logprob_after: float = math.nan

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits to commit: none for a preview, and none if nothing changes."""
        return () if self.preview or not self.edit.id else (self.edit,)
