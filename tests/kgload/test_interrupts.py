"""Work in a thread of its own is told of Ctrl-C, and the main thread waits for it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from kgload.interrupts import run_async, run_in_thread

LIMIT_S = 60


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT is KeyboardInterrupt, however the tests were started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pressed() -> None:
    raise KeyboardInterrupt


def never(times: int) -> None:
    pytest.fail(f"told to stop, {times} times")


def test_what_work_returns_or_raises_comes_back() -> None:
    assert (
        run_in_thread(lambda: threading.current_thread() is threading.main_thread(), never) is False
    )
    with pytest.raises(ValueError, match="of the work"):
        run_in_thread(lambda: int("of the work"), never)


def test_work_is_told_once_more_for_each_press_and_never_left_alone() -> None:
    told, ended, presses = threading.Event(), threading.Event(), list[int]()

    def work() -> None:
        assert told.wait(LIMIT_S)
        ended.set()

    def stop(times: int) -> None:
        presses.append(times)
        if times < 3:
            pressed()
        told.set()

    with pytest.raises(KeyboardInterrupt):
        run_in_thread(work, stop, pressed)
    assert ended.is_set()
    assert presses[:3] == [1, 2, 3]


@pytest.mark.usefixtures("ctrl_c")
def test_a_coroutine_is_cancelled_and_ends_what_it_has_to() -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.to_thread(lambda: None)
            steps.append("closed")
            raise

    with pytest.raises(KeyboardInterrupt):
        run_async(work(), lambda: steps.append("stopped"))
    assert steps[-1] == "closed"
    assert "stopped" in steps


def test_what_a_coroutine_returns_or_raises_comes_back() -> None:
    async def given(text: str) -> int:
        return int(text)

    assert run_async(given("3")) == 3
    with pytest.raises(ValueError, match="of the work"):
        run_async(given("of the work"))
