"""Tokenizes on threads, so that the event loop does not wait for long texts."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from server.lm.remote.gate import within_deadline
from server.lm.tokens import Steps

Result = TypeVar("Result")


class TokenThreads:
    """Two threads that take the steps of all calls in turn: a long text delays nobody for long."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="tokens")

    async def finish(self, steps: Steps[Result]) -> Result:
        """Take all steps, and return their result. Raises DeadlinePassed."""
        loop = asyncio.get_running_loop()
        while True:
            async with within_deadline():
                end = await loop.run_in_executor(self._threads, _step, steps)
            if end is not None:
                result: Result = end.value
                return result

    def close(self) -> None:
        """End the threads after the step that each is in."""
        self._threads.shutdown()


def _step(steps: Steps[Any]) -> StopIteration | None:
    """Take one step; the end has the result."""
    try:
        next(steps)
    except StopIteration as end:
        return end
    return None
