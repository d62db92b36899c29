"""When the call at hand has to be done, for those who wait or retry on its behalf."""

from __future__ import annotations

from contextvars import ContextVar

call_deadline: ContextVar[float | None] = ContextVar("call_deadline", default=None)
"""In seconds of the monotonic clock; None where there is no deadline."""
