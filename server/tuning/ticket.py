"""A call's place in the model's queue.

It travels in the context, like the deadline, so that no use case has to pass it on.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Need:
    """What a call asks of the model from its first forward pass to its last one."""

    tokens: int = 0
    """Tokens of its prompts and continuations; not those that are generated."""
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Ticket:
    """All work of a call has the place that its first work drew.

    `expected` is what such a call usually needs; nothing, where that is not known. The model notes
    the rest: the place, when the call's first pass began and its last one so far ended, in seconds
    of the monotonic clock, and how many tokens of prompts were read for it.
    """

    expected: Need = Need()
    number: int | None = None
    began: float | None = None
    ended: float | None = None
    tokens_read: int = 0


call_ticket: ContextVar[Ticket | None] = ContextVar("call_ticket", default=None)
"""None: each work is a call of its own."""
