"""The parts of the data: what is trained on, and what the report asks because it was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from training.kinds import Kind, bare
from training.sources import HELD_OUT_RELATIONS, is_held_out

Unseen = Literal["nothing", "subjects", "wordings", "relations"]
"""Which part of the data a question may come from: "nothing" is the training part."""


@dataclass(frozen=True, slots=True)
class Part:
    """The part of the data that questions are drawn from, by what the adapter has not seen."""

    unseen: Unseen

    def has_subject(self, subject: str) -> bool:
        """Whether questions are asked about this subject."""
        return is_held_out(subject) == (self.unseen == "subjects")

    def has_relation(self, relation: str) -> bool:
        """Whether this relation is asked for."""
        return (relation in HELD_OUT_RELATIONS) == (self.unseen == "relations")

    def has_wording(self, held_out: Sequence[str]) -> bool:
        """Whether a relation with these held-out forms is asked about."""
        return self.unseen != "wordings" or bool(held_out)

    def has_kind(self, kind: Kind) -> bool:
        """Whether questions of this kind are drawn."""
        if kind.is_held_out != (self.unseen == "relations"):
            return False
        if kind.subjects:
            return bool(self.subjects_of(kind)) and self.has_wording(kind.held_out)
        # The user, whom every user's own fact is about, has been seen
        is_asked = self.unseen == "relations" or kind.is_trained_on
        return is_asked and self.unseen != "subjects" and self.has_wording(kind.held_out)

    def subjects_of(self, kind: Kind) -> list[str]:
        """The kind's subjects that questions are asked about.

        A subject is as unseen as what is left of it without its determiner: "a goat" is asked about
        in neither part where only one of "a goat" and "goat" is held out.
        """
        return [s for s in kind.subjects if all(map(self.has_subject, (s, bare(s))))]
