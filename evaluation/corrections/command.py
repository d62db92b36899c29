"""python -m evaluation corrections: the command line."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.corrections import counting
from evaluation.corrections.cases import DEVELOPMENT, HALVES, Case
from evaluation.corrections.measuring import Measured, document, measure, server_for
from evaluation.corrections.reading import Reading
from evaluation.corrections.selection import Selection, by_user, chosen
from evaluation.corrections.sets import SETS, CaseSet

_EPILOG = """\
Each set keeps one half of its cases apart (by a hash of their subjects; firstperson names it in its
file; everyday is not split). Tune on the development half, and ask the unseen half at the end only.

example: python -m evaluation corrections --set knowedit --cases 24 --misses
The server that is started takes the KGT_* settings, except for its store and its data.
"""


def add_to(commands: Any, data: Path) -> None:
    """Add the command. `data` is the folder of the reference data unless another one is named."""
    one = commands.add_parser(
        "corrections",
        help="corrections that people wrote down: what must change, and what must not",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.set_defaults(run=run)
    one.add_argument("--set", choices=list(SETS), required=True, help="the set of cases")
    one.add_argument("--data", type=Path, default=data, help="folder of the reference data")
    one.add_argument(
        "--half", choices=HALVES, default=DEVELOPMENT, help="half of the set (default: development)"
    )
    one.add_argument("--first", type=int, default=0, help="cases to leave out at the start")
    one.add_argument("--cases", type=int, help="cases after those (default: all)")
    one.add_argument(
        "--seed", type=int, default=0, help="draws the order of the cases, and other subjects"
    )
    one.add_argument(
        "--address",
        default="",
        help="HOST:PORT of a server that runs already, on the set's base graph: the starter graph,"
        " or for everyday its own (default: start one)",
    )
    one.add_argument(
        "--misses", action="store_true", help="list what was not won, refused or malformed"
    )
    one.add_argument("--out", type=Path, help="file for each case's results, as JSON lines")


def run(options: argparse.Namespace) -> None:
    """Run the command. Raises StartupError."""
    of = SETS[options.set]
    selection = Selection(options.half, options.seed, options.first, options.cases)
    reading = of.read(options.data)
    users = by_user(of, chosen(of, reading, selection))
    measured = asyncio.run(_measured(of, users, options.address))
    if options.out:
        lines = map(counting.record, measured.results)
        options.out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if options.misses:
        print("\n".join(_listed(reading, measured)) + "\n")
    print(counting.table(measured.results, measured.calls))
    print(f"\n{len(reading.malformed)} malformed lines, {reading.left_out} left out")
    print(json.dumps(document(of, selection, reading, measured)))


async def _measured(of: CaseSet, users: Sequence[Sequence[Case]], address: str) -> Measured:
    async with server_for(of, address) as asked:
        return await measure(of.name, users, asked)


def _listed(reading: Reading, measured: Measured) -> list[str]:
    malformed = [f"malformed: {line}" for line in reading.malformed]
    return [*malformed, *counting.misses(measured.results, measured.calls)]
