"""A write is done to its end, also when its caller leaves."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from server.errors import OverlayErased
from server.writing.turns import uncut


async def test_what_fails_after_its_caller_left_is_not_reported_by_the_loop() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def failing() -> None:
        entered.set()
        await go_on.wait()
        raise OverlayErased

    for leave_twice in (False, True):
        entered.clear()
        go_on.clear()
        call = asyncio.ensure_future(uncut(failing()))
        await entered.wait()
        call.cancel()
        await asyncio.sleep(0)
        if leave_twice:
            call.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
    assert reported == []


async def test_work_is_done_to_its_end_before_a_cancellation_arrives() -> None:
    entered, go_on, done = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        entered.set()
        await go_on.wait()
        done.append(True)

    call = asyncio.ensure_future(uncut(work()))
    await entered.wait()
    call.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert done == [True]
