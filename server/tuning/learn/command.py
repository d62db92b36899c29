"""What Learn is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LearnCommand:
    """What a user said, and what was said before it."""

    user: str
    text: str
    context: str = ""
    """Best the last question and its answer, as `Q: ... A: ...`."""
    preview: bool = False
