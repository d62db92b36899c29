"""The deadline of the current call, for everything that waits or retries on its behalf.

It travels in the context, so that no use case has to pass it on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

call_deadline: ContextVar[float | None] = ContextVar("call_deadline", default=None)
"""In seconds of the monotonic clock. None: no deadline."""


@contextlib.contextmanager
def deadline_at(deadline: float | None) -> Iterator[None]:
    """Give this deadline to everything that is called inside, and to tasks created there."""
    token = call_deadline.set(deadline)
    try:
        yield
    finally:
        call_deadline.reset(token)
