"""python -m evaluation COMMAND: measures quality.

The last line of output is one JSON document, except of `report`, which writes docs/model.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation import everyday, smalltalk, subjects
from evaluation.corrections import command as corrections
from evaluation.corrections.cases import HALVES
from evaluation.paper import command as paper
from evaluation.scopes import command as scopes
from server import assemble
from server.errors import StartupError
from server.lm.folders import cache_folder, default_model_folder
from server.settings import read_settings
from server.tuning.personalize.command import RelationSource

DATA = Path("../shared/data")
ADAPTER = Path("server/lm/adapter")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status, 2 if a file of the data is missing."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    options.command_line = shlex.join(["python", "-m", "evaluation", *given])
    try:
        options.run(options)
    except StartupError as error:
        print(f"evaluation: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130  # what a shell says of a command that Ctrl-C ended
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation", description=__doc__.partition("\n")[0]
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_subjects(commands)
    _add_everyday(commands)
    _add_smalltalk(commands)
    corrections.add_to(commands, DATA)
    scopes.add_to(commands, DATA)
    paper.add_to(commands, DATA)
    _add_report(commands)
    return parser


def _add_subjects(commands: Any) -> None:
    one = commands.add_parser(
        "subjects",
        help="how often the subject of a query is found",
        epilog="example: python -m evaluation subjects --data ../shared/data --limit 2000",
    )
    one.set_defaults(run=_subjects)
    one.add_argument("--data", type=Path, default=DATA, help="folder of the reference data")
    one.add_argument("--limit", type=int, help="cases of each set (default: all)")
    one.add_argument("--misses", action="store_true", help="show some of the misses")


def _add_everyday(commands: Any) -> None:
    one = commands.add_parser(
        "everyday",
        help="how often a correction is followed, also in other words, and nothing else changes",
        epilog="example: python -m evaluation everyday --cases 60 --relations ranked"
        " (KGT_* settings apply as for the server)",
    )
    one.set_defaults(run=_everyday)
    one.add_argument("--first", type=int, default=0, help="cases to leave out at the start")
    one.add_argument("--cases", type=int, help="cases after those (default: all)")
    one.add_argument("--relations", choices=[s.value for s in RelationSource], default="generated")


def _add_smalltalk(commands: Any) -> None:
    one = commands.add_parser(
        "smalltalk",
        help="how often something is learned from sentences without a personal fact",
        epilog="example: python -m evaluation smalltalk --half development",
    )
    one.set_defaults(run=_smalltalk)
    one.add_argument("--half", choices=HALVES, default="", help="half of the set (default: both)")
    one.add_argument(
        "--address", default="", help="HOST:PORT of a server that runs already (default: start one)"
    )


def _add_report(commands: Any) -> None:
    one = commands.add_parser(
        "report",
        help="write docs/model.md: the base model with and without the adapter, on unseen cases",
    )
    one.set_defaults(run=_report)
    one.add_argument("--data", type=Path, default=DATA, help="folder of the reference data")
    one.add_argument(
        "--model",
        type=Path,
        default=default_model_folder(cache_folder()),
        help="folder of the converted base model (python -m server.lm.fetch)",
    )
    one.add_argument("--adapter", type=Path, default=ADAPTER, help="folder of the adapter")
    one.add_argument("--cases", type=int, default=30, help="questions in each held-out split")
    one.add_argument("--kinds", type=int, default=15, help="and of kinds, for the adapter")
    one.add_argument(
        "--everyday", type=int, default=150, help="everyday corrections, of the 150 that exist"
    )
    one.add_argument(
        "--base-everyday", type=int, default=50, help="how many of them the slow base model gets"
    )
    one.add_argument("--out", type=Path, default=Path("docs/model.md"), help="file to write")
    one.add_argument(
        "--kept", type=Path, default=Path("build/report"), help="folder that keeps the figures"
    )


def _everyday(options: argparse.Namespace) -> None:
    settings = read_settings([]).model_copy(update={"max_tokens": everyday.ANSWER_TOKENS})
    asked = everyday.read_cases()[options.first :][: options.cases]
    model = assemble.model(settings)
    results = asyncio.run(
        everyday.measure(settings, model, asked, RelationSource(options.relations))
    )
    for result in results:
        if not (result.followed and all(result.paraphrases_followed)):
            case = result.case
            print(f"{case.id}: {case.answer!r}, got {result.answer!r}, {result.paraphrase_answers}")
    print(json.dumps({"relations": options.relations, **everyday.counts(results)}))


def _subjects(options: argparse.Namespace) -> None:
    results = subjects.measure(options.data, options.limit)
    if options.misses:
        print(subjects.misses(results) + "\n")
    print(subjects.table(results))
    print(subjects.as_json(results))


def _smalltalk(options: argparse.Namespace) -> None:
    sentences = smalltalk.read_sentences(options.half)
    taken = asyncio.run(smalltalk.measure(sentences, options.address))
    print(smalltalk.table(taken) + "\n")
    print(json.dumps(smalltalk.document(options.half, taken)))


def _report(options: argparse.Namespace) -> None:
    from evaluation import report  # imports torch

    def measured(adapter: Path | None, of_kinds: int, everyday_cases: int) -> report.Measured:
        print(f"measuring {'the base' if adapter is None else adapter} ...", flush=True)
        cases = report.Cases(options.cases, of_kinds, everyday_cases)
        return report.measure(options.model, adapter, options.data, cases, options.kept)

    base = measured(None, 0, options.base_everyday)
    adapted = measured(options.adapter, options.kinds, options.everyday)
    report.write(base, adapted, options.out)
    print(f"written to {options.out}")


if __name__ == "__main__":
    raise SystemExit(main())
