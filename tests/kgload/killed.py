"""python -m tests.kgload.killed PHASE POINT ARGUMENT...: the loader, killed as by `kill -9` at a point of its run.

A point is the n-th time that a function is called, calls into C or returns in the code of a phase, in any of its
threads: `stage` reads the file into the staging file, `load` fills the store from it. At point 0 it runs to its end and
prints how many points there are.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

from kgload.__main__ import main

CODE = {"stage": ("kgload/staging.py",), "load": ("kgload/embedded.py", "server/stores/sqlite_bulk.py")}


class Countdown:
    """Counts points, and kills at one."""

    def __init__(self, phase: str, point: int) -> None:
        self.code = CODE[phase]
        self.point = point
        self.passed = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code.co_filename.endswith(self.code):
            self.passed += 1
            if self.passed == self.point:
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    countdown = Countdown(sys.argv[1], int(sys.argv[2]))
    threading.setprofile(countdown)
    sys.setprofile(countdown)
    status = main(sys.argv[3:])
    sys.setprofile(None)
    print(f"points {countdown.passed}")
    raise SystemExit(status)
