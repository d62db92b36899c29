"""A case: what a user said and corrects, what is asked then, and what each answer should be."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from evaluation.corrections.expectations import Expectation

DEVELOPMENT, UNSEEN = "development", "unseen"
HALVES = (DEVELOPMENT, UNSEEN)


class Stage(StrEnum):
    """When a question is asked."""

    BEFORE = "before"
    """After what the user said before, and before the corrections."""
    CORRECTED = "corrected"
    """After the corrections."""
    UNDONE = "undone"
    """After the corrections were undone, the last one first."""


@dataclass(frozen=True, slots=True)
class Correction:
    """The answer that a user wants for a query, and the one that the user was given, if known."""

    query: str
    answer: str
    answer_before: str | None = None


@dataclass(frozen=True, slots=True)
class Background:
    """What the user said before: in sentences, or as corrections.

    `triples` are facts that are edited in directly.
    """

    sentences: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    triples: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A query, what is expected of its answer, and when it is asked.

    Questions of one `kind` are counted together. If the expectation looks at the user's view of the
    graph, `query` is the concept to look at.
    """

    kind: str
    query: str
    expectation: Expectation
    stage: Stage = Stage.CORRECTED


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a set.

    `subject` is what keeps cases together when a set is split into halves: whom or what the case is
    about. `topic` is a relation or a theme, where the set names one.
    """

    id: str
    subject: str
    corrections: tuple[Correction, ...]
    questions: tuple[Question, ...]
    background: Background = field(default_factory=Background)
    topic: str = ""
    statements: tuple[str, ...] = ()
    """What the user says instead of correcting an answer."""
    half: str = DEVELOPMENT
