"""What is expected of an answer, and whether an answer is that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from server.graph.concept import concept_key
from server.tuning.texts import says


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service replied: an answer, or the tails of the triples at a concept.

    `refused` is the reason why it did not reply.
    """

    text: str = ""
    logprobs: Mapping[str, float] = field(default_factory=dict)
    """ln P(a|q) of each candidate."""
    tails: frozenset[str] = frozenset()
    """The keys of the tails in the user's view."""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a reply should be. Each kind of expectation is a subclass."""

    needs_before: ClassVar[bool] = False
    """Whether the question is also asked before the corrections, to compare."""
    looks_at_view: ClassVar[bool] = False
    """Whether the view of a concept is looked at, and no answer is asked for."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """The answers whose probabilities are needed."""
        return ()

    def is_met(self, now: Reply, before: Reply) -> bool:
        """Whether the reply is as expected. `before` is empty unless it is needed."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Says(Expectation):
    """The answer says this."""

    answer: str

    def is_met(self, now: Reply, before: Reply) -> bool:
        return says(now.text, self.answer)


@dataclass(frozen=True, slots=True)
class SaysNot(Expectation):
    """The answer does not say this."""

    answer: str

    def is_met(self, now: Reply, before: Reply) -> bool:
        return not says(now.text, self.answer)


@dataclass(frozen=True, slots=True)
class AsBefore(Expectation):
    """The answer says what it said before the corrections."""

    needs_before: ClassVar[bool] = True

    def is_met(self, now: Reply, before: Reply) -> bool:
        return now.text == before.text or says(now.text, before.text)


@dataclass(frozen=True, slots=True)
class NotOverwritten(Expectation):
    """The answer does not say what another query was corrected to, unless it did before."""

    answer: str
    needs_before: ClassVar[bool] = True

    def is_met(self, now: Reply, before: Reply) -> bool:
        return not says(now.text, self.answer) or says(before.text, self.answer)


@dataclass(frozen=True, slots=True)
class MoreProbable(Expectation):
    """One answer is more probable than another."""

    answer: str
    than: str

    @property
    def candidates(self) -> tuple[str, ...]:
        return self.answer, self.than

    def is_met(self, now: Reply, before: Reply) -> bool:
        return now.logprobs[self.answer] > now.logprobs[self.than]


@dataclass(frozen=True, slots=True)
class InView(Expectation):
    """The concept has a triple with this tail in the user's view."""

    tail: str
    looks_at_view: ClassVar[bool] = True

    def is_met(self, now: Reply, before: Reply) -> bool:
        return concept_key(self.tail) in now.tails


@dataclass(frozen=True, slots=True)
class NotInView(Expectation):
    """The concept has no triple with this tail in the user's view."""

    tail: str
    looks_at_view: ClassVar[bool] = True

    def is_met(self, now: Reply, before: Reply) -> bool:
        return concept_key(self.tail) not in now.tails
