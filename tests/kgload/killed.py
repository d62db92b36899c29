"""python -m tests.kgload.killed POINT ARGUMENT...: the loader, killed as by `kill -9` at a point of its run.

A point is the n-th time that a function is called, calls into C or returns in the loader's code or the store's, in any
of its threads. At point 0 it runs to its end and prints how many points there are.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

from kgload.__main__ import main

CODE = (f"{os.sep}kgload{os.sep}", f"{os.sep}server{os.sep}stores{os.sep}")
TELLING = (f"{os.sep}report.py", f"{os.sep}__main__.py")
WAITING = ("execute", "run_beside", "show", "summarize", "conceptnet_fault", "concept_text")
"""What only tells or looks how far a query is: a kill there shows nothing new, and there are many such points."""


class Countdown:
    """Counts points, and kills at one."""

    def __init__(self, point: int) -> None:
        self.point = point
        self.passed = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if code.co_name in WAITING or code.co_filename.endswith(TELLING):
            return
        if any(part in code.co_filename for part in CODE):
            self.passed += 1
            if self.passed == self.point:
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    countdown = Countdown(int(sys.argv[1]))
    threading.setprofile(countdown)
    sys.setprofile(countdown)
    status = main(sys.argv[2:])
    sys.setprofile(None)
    print(f"points {countdown.passed}")
    raise SystemExit(status)
