"""The arguments of `python -m kgload`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from kgload.formats import FORMATS
from server.stores.settings import StoreSettings

EXAMPLES = """\
python -m kgload starter
python -m kgload conceptnet conceptnet-assertions-5.7.0.csv.gz
python -m kgload triples graph.jsonl --declare relations.toml
python -m kgload verify
python -m kgload stats
"""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands. The parsed options have the command's name as `command`."""
    parser = argparse.ArgumentParser(
        prog="python -m kgload",
        description="Fill the base graph that all users share.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXAMPLES,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    starter = commands.add_parser(
        "starter", help="the small graph of everyday facts that ships with this package"
    )
    starter.add_argument(
        "--if-empty", action="store_true", help="do nothing if there is a base graph already"
    )
    for name, form in FORMATS.items():
        form.add_arguments(commands.add_parser(name, help=form.help, epilog=form.epilog))
    for name in ("starter", *FORMATS):
        _add_loading(commands.choices[name])
    verify = commands.add_parser(
        "verify", help="compare the base graph with the file that it was loaded from"
    )
    verify.add_argument("path", nargs="?", help="where the file is now, if it has moved")
    for name in ("starter", *FORMATS, "verify"):
        _add_limits(commands.choices[name])
    stats = commands.add_parser("stats", help="show what the store holds")
    stats.add_argument("--json", action="store_true", help="print one JSON document")
    settings = StoreSettings()
    for command in commands.choices.values():
        _add_store(command, settings)
    return parser


def _add_loading(command: argparse.ArgumentParser) -> None:
    """The options of all loads."""
    command.add_argument(
        "--replace",
        action="store_true",
        help="replace another base graph; users' edits stay",
    )
    command.add_argument("--batch", type=_whole(1), help="rows that are written at a time")
    command.add_argument(
        "--offline",
        type=Path,
        metavar="HOME",
        help="home of a Neo4j that is not running and has no database: import with neo4j-admin",
    )


def _add_limits(command: argparse.ArgumentParser) -> None:
    """The options of whatever reads a file."""
    command.add_argument(
        "--memory", default="2GB", help="memory that the loader may use before it spills to disk"
    )
    command.add_argument(
        "--max-errors",
        type=_whole(0),
        default=1000,
        help="stop when more lines than this are malformed",
    )
    command.add_argument(
        "--rejects", type=Path, help="file for the malformed lines (default: DATA/rejects.tsv)"
    )


def _add_store(command: argparse.ArgumentParser, settings: StoreSettings) -> None:
    """The options of all commands."""
    command.add_argument(
        "--store",
        default=settings.store,
        help="sqlite, or the address of a Neo4j (KGT_STORE); its login is in KGT_NEO4J_USER and"
        " KGT_NEO4J_PASSWORD",
    )
    command.add_argument(
        "--data",
        type=Path,
        default=settings.data,
        help="folder of the embedded store (KGT_DATA)",
    )
    command.add_argument(
        "--vocabulary",
        type=Path,
        help="relation vocabulary (TOML); the built-in one when not given",
    )


def _whole(least: int) -> Callable[[str], int]:
    """The type of an option that is a whole number from `least` on."""

    def parse(text: str) -> int:
        value = int(text) if text.strip().isdecimal() else -1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        return value

    return parse
