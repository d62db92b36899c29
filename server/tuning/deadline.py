"""The deadline of the call at hand, for all that waits or retries on its behalf.

It travels in the context, so that no use case has to hand it on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

call_deadline: ContextVar[float | None] = ContextVar("call_deadline", default=None)
"""In seconds of the monotonic clock; None where there is no deadline."""


@contextlib.contextmanager
def deadline_at(deadline: float | None) -> Iterator[None]:
    """Give what is called inside, and tasks begun there, this deadline."""
    token = call_deadline.set(deadline)
    try:
        yield
    finally:
        call_deadline.reset(token)
