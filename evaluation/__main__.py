"""python -m evaluation subjects: measurements on public data; the last line of output is one JSON document."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation import subjects
from server.errors import StartupError


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 2 when a file of the data is missing."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except StartupError as error:
        print(f"evaluation: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser(
        "subjects",
        help="how often the subject of a query is found",
        epilog="example: python -m evaluation subjects --data ../shared/data --limit 2000",
    )
    one.set_defaults(run=_subjects)
    one.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the reference data")
    one.add_argument("--limit", type=int, help="cases of each set; all when not given")
    one.add_argument("--misses", action="store_true", help="show some of what was not found")
    return parser


def _subjects(options: argparse.Namespace) -> None:
    results = subjects.measure(options.data, options.limit)
    if options.misses:
        print(subjects.misses(results) + "\n")
    print(subjects.table(results))
    print(subjects.as_json(results))


if __name__ == "__main__":
    raise SystemExit(main())
