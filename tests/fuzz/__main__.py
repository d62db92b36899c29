"""python -m tests.fuzz: run the fuzzer with new draws until the time is up or it finds something.

Hypothesis prints what it finds: the shortest list of calls that shows it.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import pytest


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="how long; a round under way is finished"
    )
    parser.add_argument(
        "--examples", type=int, default=500, help="lists of 20 to 30 calls in a round"
    )
    given = parser.parse_args()
    os.environ["KGT_FUZZ_EXAMPLES"] = str(given.examples)
    end = time.monotonic() + 60 * given.minutes
    rounds = 0
    while True:
        rounds += 1
        if status := pytest.main([str(Path(__file__).parent), "-q", "-x", "--show-capture=no"]):
            return int(status)
        if time.monotonic() >= end:
            print(f"{rounds} rounds of {given.examples} lists of calls: nothing found")
            return 0


if __name__ == "__main__":
    raise SystemExit(main())
