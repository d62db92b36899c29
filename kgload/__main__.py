"""python -m kgload: fill the base graph that all users share."""

from __future__ import annotations

import signal
import sys

from kgload.arguments import parser
from kgload.commands import COMMANDS
from kgload.interrupts import QUERY_INTERRUPTED
from kgload.report import Report, printable
from server.errors import KgtError


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    try:
        options = parser().parse_args(arguments)
        return COMMANDS[options.command](options, Report())
    except (KgtError, OSError) as error:  # OSError: a file or folder that was named, or the disk
        print(f"kgload: {' '.join(printable(str(error)).splitlines())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _stopped()
    except RuntimeError as error:
        if str(error) != QUERY_INTERRUPTED:
            raise
        return _stopped()


def _stopped() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is stopping already
    print("kgload: stopped; the same command goes on where this one was", file=sys.stderr)
    return 130


if __name__ == "__main__":
    raise SystemExit(main())
