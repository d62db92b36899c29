"""python -m evaluation COMMAND: measurements of quality; the last line of output is one JSON
document."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation import everyday, subjects
from server import assemble
from server.errors import StartupError
from server.settings import read_settings
from server.tuning.personalize.command import RelationSource


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
    one.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder of the reference data"
    )
    one.add_argument("--limit", type=int, help="cases of each set; all when not given")
    one.add_argument("--misses", action="store_true", help="show some of what was not found")
    one = commands.add_parser(
        "everyday",
        help="how often a correction is followed, in other words too, and nothing else changed",
        epilog="example: python -m evaluation everyday --cases 60 --relations ranked (KGT_* as for the server)",
    )
    one.set_defaults(run=_everyday)
    one.add_argument("--first", type=int, default=0, help="cases to leave out at the start")
    one.add_argument("--cases", type=int, help="cases after those; all when not given")
    one.add_argument("--relations", choices=[s.value for s in RelationSource], default="generated")
    return parser


def _everyday(options: argparse.Namespace) -> None:
    settings = read_settings([]).model_copy(update={"max_tokens": everyday.ANSWER_TOKENS})
    asked = everyday.read_cases()[options.first :][: options.cases]
    model = assemble.model(settings)
    results = asyncio.run(
        everyday.measure(settings, model, asked, RelationSource(options.relations))
    )
    for result in results:
        if not (result.followed and all(result.paraphrases_followed)):
            print(
                f"{result.case.id}: {result.case.answer!r}, got {result.answer!r}, {result.paraphrase_answers}"
            )
    print(json.dumps({"relations": options.relations, **everyday.counts(results)}))


def _subjects(options: argparse.Namespace) -> None:
    results = subjects.measure(options.data, options.limit)
    if options.misses:
        print(subjects.misses(results) + "\n")
    print(subjects.table(results))
    print(subjects.as_json(results))


if __name__ == "__main__":
    raise SystemExit(main())
