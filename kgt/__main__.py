"""The `kgt` command starts here. Ctrl-C ends it in one line, from its first moment on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0 is success, 1 a failed call, 2 wrong usage, and 130 a stop by Ctrl-C.
    """
    # gRPC would write a log of its own between the lines.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        # Imported here, because gRPC takes a moment to load and Ctrl-C may be pressed in it.
        from kgt.command.run import run

        return run(arguments)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is ending already
        print("kgt: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
