"""Ctrl-C at some moment of a load: a line that says what to do, no stack trace, and the same command goes on."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOMENTS = 8
BETWEEN_S = 0.002
"""From one press to the next, for those who press more than once."""

STOPPED = 130
READY = "ready"
_COMMAND = (
    "import signal, sys; from kgload.__main__ import main; signal.signal(signal.SIGINT, signal.default_int_handler);"
    f"print('{READY}', flush=True); sys.exit(main(sys.argv[1:]))"
)
"""A shell starts what is in the background with SIGINT ignored, and so may whoever runs these tests."""


def interrupted(after_s: float, presses: int, *arguments: str) -> bool:
    """Interrupt a load some time after it began; whether it was at its end, its work done.

    Raises AssertionError unless it ends as one should.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().strip() == READY
    time.sleep(after_s)
    for _ in range(presses):
        process.send_signal(signal.SIGINT)
        time.sleep(BETWEEN_S)
    _, told = process.communicate(timeout=120)
    assert process.returncode in (0, STOPPED, -signal.SIGINT), told
    assert "Traceback" not in told, (after_s, told)
    assert process.returncode != STOPPED or told.splitlines()[-1].startswith("kgload: stopped"), (after_s, told)
    return process.returncode != STOPPED


def moments(whole_s: float, seed: int) -> Iterator[tuple[float, int]]:
    """When, and how often, Ctrl-C is pressed."""
    chance = random.Random(seed)
    for number in range(MOMENTS):
        yield whole_s * (number + chance.random()) / MOMENTS, number % 3 + 1
