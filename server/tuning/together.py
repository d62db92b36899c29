"""Questions to the model that begin in one forward pass.

That they belong together travels in the context, so that no use case has to pass it on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")

asked_with: ContextVar[object | None] = ContextVar("asked_with", default=None)
"""Equal for questions that begin together; None for one that waits for no other."""


async def together(one: Coroutine[Any, Any, A], other: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Both results. What each asks the model before it first waits begins in the same pass.

    Where one fails, the other is cancelled.
    """
    before = asked_with.set(object())
    try:
        tasks = asyncio.create_task(one), asyncio.create_task(other)
    finally:
        asked_with.reset(before)
    try:
        first, second = await asyncio.gather(*tasks)
        return first, second
    finally:
        for task in tasks:
            task.cancel()
