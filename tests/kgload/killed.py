"""Runs the loader and cuts it off: python -m tests.kgload.killed POINT PRESSES FUNCTION ARGUMENT...

Point n is the n-th time that a function of the loader or the stores is called, calls into C or
returns, in any thread. If FUNCTION is not empty, only functions with that name count. With 0
presses, the process is killed there as by `kill -9`. With more, Ctrl-C is pressed there and at the
points that follow. With point 0, the loader runs to its end, and the number of points is printed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

from kgload.__main__ import main
from testbed.processes import ROOT

CODE = (f"{ROOT}{os.sep}kgload{os.sep}", f"{ROOT}{os.sep}server{os.sep}stores{os.sep}")
TELLING = (f"{os.sep}report.py", f"{os.sep}__main__.py")
WAITING = ("execute", "run_in_thread", "show", "summarize", "conceptnet_fault", "concept_text")
"""Functions that only report, or look how far a query is. They have many points, and a kill there
shows nothing new."""
STOPPED = 130


def killed(point: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the loader and kill it at a point; with 0 it runs to its end."""
    return _cut_off(point, 0, "", *arguments)


def points_of(*arguments: str, function: str = "") -> int:
    """How many points a load with these arguments has. Raises AssertionError if it fails."""
    done = _cut_off(0, 0, function, *arguments)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split("points ")[1])


def interrupted(point: int, presses: int, *arguments: str, function: str = "") -> bool:
    """Interrupt the loader at a point. Returns whether it completed its work all the same.

    Raises AssertionError unless it ends with a line that says what to do, and no stack trace.
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
    """Counts points, and kills the process or presses Ctrl-C at some of them."""

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
    """Press Ctrl-C from another thread, which runs when the call at this point lets it."""
    told = threading.Event()

    def when_told() -> None:
        told.wait()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=when_told, daemon=True).start()
    told.set()


if __name__ == "__main__":
    # A shell ignores Ctrl-C in what it starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    countdown = Countdown(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    threading.setprofile(countdown)
    sys.setprofile(countdown)
    status = main(sys.argv[4:])
    sys.setprofile(None)
    print(f"points {countdown.passed}")
    raise SystemExit(status)
