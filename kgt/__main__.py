"""The `kgt` command begins here: from its first moment on, Ctrl-C ends it in one line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0, 1 for a failed call, 2 for wrong usage, 130
    after Ctrl-C."""
    os.environ.setdefault(
        "GRPC_VERBOSITY", "NONE"
    )  # gRPC would write a log of its own between the lines
    try:
        from kgt.command import (
            run,
        )  # gRPC takes a moment to import, and a user may press Ctrl-C in it

        return run(arguments)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever presses again is about to be served
        print("kgt: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
