"""python -m kgload: fill the base graph.

python -m kgload starter
python -m kgload triples FILE --columns relation,head,tail
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from kgload.graph import load_into_neo4j
from kgload.load import LoadError, load
from kgload.parse import COLUMNS, BadLine, column_lines, conceptnet_lines
from server.errors import KgtError
from server.graph.relation import Vocabulary
from server.stores.neo4j_connection import EMBEDDED, login_from_environment
from server.stores.sqlite import data_folder
from server.stores.sqlite_base import BaseTriple


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except KgtError as error:
        print(f"kgload: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("kgload: stopped; nothing was changed, or run it again to go on", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kgload", description="Fill the base graph that all users share.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    starter = commands.add_parser("starter", help="the small graph of everyday facts that ships with this package")
    starter.set_defaults(run=_starter)
    triples = commands.add_parser(
        "triples",
        help="your own triples, tab-separated",
        epilog="example: python -m kgload triples graph.tsv --columns relation,head,tail",
    )
    triples.set_defaults(run=_triples)
    triples.add_argument("file", type=Path)
    triples.add_argument(
        "--columns", default="head,relation,tail", help="what the columns are: head, relation, tail, weight"
    )
    for command in (starter, triples):
        command.add_argument("--data", type=Path, default=data_folder(), help="folder of the embedded store (KGT_DATA)")
        command.add_argument(
            "--store",
            default=os.environ.get("KGT_STORE") or EMBEDDED,
            help="sqlite, or a Neo4j's address (KGT_STORE); its login is in KGT_NEO4J_USER and KGT_NEO4J_PASSWORD",
        )
        command.add_argument(
            "--vocabulary", type=Path, help="relation vocabulary (TOML); the built-in one when not given"
        )
        command.add_argument(
            "--replace", action="store_true", help="put it in another base graph's place; overlays stay"
        )
    return parser


def _starter(options: argparse.Namespace) -> None:
    text = resources.files("kgload.starter").joinpath("starter.csv").read_text(encoding="utf-8")
    vocabulary = _vocabulary(options)
    _load(conceptnet_lines(text.splitlines(), vocabulary), options, vocabulary)


def _triples(options: argparse.Namespace) -> None:
    columns = [c.strip() for c in options.columns.split(",")]
    if not {"head", "relation", "tail"} <= set(columns) <= set(COLUMNS) or len(set(columns)) != len(columns):
        raise LoadError(
            f"--columns {options.columns}: name head, relation, tail, and weight if there is one, once each"
        )
    vocabulary = _vocabulary(options)
    try:
        with options.file.open(encoding="utf-8") as file:
            _load(column_lines(file, columns, vocabulary), options, vocabulary)
    except UnicodeDecodeError as error:
        raise LoadError(f"{options.file} is not UTF-8 text") from error
    except OSError as error:
        raise LoadError(f"{options.file}: {error.strerror}") from error


def _load(parsed: Iterable[BaseTriple | BadLine], options: argparse.Namespace, vocabulary: Vocabulary) -> None:
    if options.store == EMBEDDED:
        loaded, place = load(parsed, options.data, vocabulary, replace=options.replace), options.data
    else:
        login, place = login_from_environment(options.store), options.store
        loaded = asyncio.run(load_into_neo4j(parsed, login, vocabulary, replace=options.replace))
    counts = loaded.counts
    print(
        f"{counts.edges} triples, {counts.concepts} concepts, {len(counts.by_relation)} relations,"
        f" {loaded.bad_lines} bad lines; base graph {counts.fingerprint} in {place}"
        + (" (as it was)" if loaded.unchanged else "")
    )


def _vocabulary(options: argparse.Namespace) -> Vocabulary:
    if options.vocabulary is None:
        return Vocabulary.built_in()
    try:
        return Vocabulary.parse(options.vocabulary.read_text(encoding="utf-8"))
    except OSError as error:
        raise LoadError(f"{options.vocabulary}: {error.strerror}") from error


if __name__ == "__main__":
    raise SystemExit(main())
