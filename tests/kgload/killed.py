"""python -m tests.kgload.killed POINT PRESSES FUNCTION ARGUMENT...: the loader, cut off at a point
of its run.

A point is the n-th time that a function is called, calls into C or returns in the loader's code or
the store's, in any of its threads; of one FUNCTION alone unless that is empty. With 0 presses it is
killed there as by `kill -9`; with more, Ctrl-C is pressed there and at the points that follow. At
point 0 it runs to its end and prints how many points there are.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

from demo.processes import ROOT
from kgload.__main__ import main

CODE = (f"{ROOT}{os.sep}kgload{os.sep}", f"{ROOT}{os.sep}server{os.sep}stores{os.sep}")
TELLING = (f"{os.sep}report.py", f"{os.sep}__main__.py")
WAITING = ("execute", "run_in_thread", "show", "summarize", "conceptnet_fault", "concept_text")
"""What only tells or looks how far a query is: a kill there shows nothing new, and there are many
such points."""
STOPPED = 130


def killed(point: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The loader, killed at a point; at 0 it ends, and tells how many there are."""
    return _cut_off(point, 0, "", *arguments)


def points_of(*arguments: str, function: str = "") -> int:
    """How many points the loader has with these arguments. Raises AssertionError where it fails."""
    done = _cut_off(0, 0, function, *arguments)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split("points ")[1])


def interrupted(point: int, presses: int, *arguments: str, function: str = "") -> bool:
    """Interrupt the loader at a point; whether it was at its end, its work done.

    Raises AssertionError unless it ends as one should: a line that says what to do, and no stack
    trace.
    """
    done = _cut_off(point, presses, function, *arguments)
    assert done.returncode in (0, STOPPED, -signal.SIGINT), done.stderr
    assert "Traceback" not in done.stderr, (point, done.stderr)
    if done.returncode == STOPPED:
        assert done.stderr.splitlines()[-1].startswith("kgload: stopped"), (point, done.stderr)
    return done.returncode != STOPPED


def _cut_off(
    point: int, presses: int, function: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        __name__,
        str(point),
        str(presses),
        function,
        *arguments,
        "--memory",
        "512MB",
    ]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


class Countdown:
    """Counts points, and kills or presses at some."""

    def __init__(self, point: int, presses: int, function: str) -> None:
        self.point, self.presses, self.function = point, presses, function
        self.passed = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if code.co_name in WAITING or code.co_filename.endswith(TELLING):
            return
        if self.function not in ("", code.co_name) or not code.co_filename.startswith(CODE):
            return
        self.passed += 1
        if self.presses == 0 and self.passed == self.point:
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.point <= self.passed < self.point + self.presses:
            press()


def press() -> None:
    """Ctrl-C, from a thread that gets its turn when the call that begins here lets others have
    theirs."""
    told = threading.Event()

    def when_told() -> None:
        told.wait()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=when_told, daemon=True).start()
    told.set()


if __name__ == "__main__":
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell ignores it in what it starts in the background
    countdown = Countdown(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    threading.setprofile(countdown)
    sys.setprofile(countdown)
    status = main(sys.argv[4:])
    sys.setprofile(None)
    print(f"points {countdown.passed}")
    raise SystemExit(status)
