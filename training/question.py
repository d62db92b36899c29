"""What a user could ask, with its answer and what surrounds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that a user could ask, and what surrounds it in the graph."""

    query: str
    paraphrase: str
    subject: str
    phrase: str
    answer: str
    truth: str | None
    """The answer that holds without any personal fact, where it is known."""
    others: tuple[str, ...]
    """Verbalised facts about the subject that do not answer the query."""
    rivals: tuple[str, ...]
    """Other answers that the same relation could give."""
    related: tuple[str, ...]
    """Phrases of relations that one could also name, nearest first."""
    said: str = ""
    """The subject as facts name it, if that is not only the subject: "my rent"."""

    def fact(self, value: str, phrase: str | None = None) -> str:
        """The verbalised fact that the subject has this value."""
        return f"{self.said or self.subject} {phrase or self.phrase} {value}"


@dataclass(frozen=True, slots=True)
class NearOrOwn:
    """A query next to one kind's fact."""

    query: str
    fact: str
    answer: str | None
    """What the fact answers; None where it does not answer the query."""
    others: tuple[str, ...]
    """Other facts, which do not answer either."""
