"""python -m kgload: fill the base graph that all users share.

python -m kgload starter
python -m kgload conceptnet conceptnet-assertions-5.7.0.csv.gz
python -m kgload triples graph.jsonl --declare relations.toml
python -m kgload verify
python -m kgload stats
"""

from __future__ import annotations

import argparse
import asyncio
import math
import shlex
import signal
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import resources
from pathlib import Path

from kgload import live
from kgload.embedded import BATCH, present_base
from kgload.errors import LoadError
from kgload.interrupts import QUERY_INTERRUPTED, run_async
from kgload.live import load_live
from kgload.load import CONCEPTNET_ATTRIBUTION, Plan, load_embedded, load_graph, summarize
from kgload.offline import load_offline, require_empty
from kgload.report import Report, printable
from kgload.rows import COLUMNS, NEEDED, Columns, Item, Reader, comma_rows, json_rows, tabbed_rows
from kgload.source import Source, read_text
from kgload.staging import SHOWN_ERRORS, Limits, Recipe, Stage, parse_memory
from kgload.stats import graph_stats, show, stats
from kgload.verify import EmbeddedBase, Neo4jBase, verify
from server.errors import KgtError
from server.graph.relation import Vocabulary
from server.stores.neo4j.connection import EMBEDDED
from server.stores.settings import StoreSettings, login_from_environment

_LAYOUTS: dict[str, Reader] = {"tsv": tabbed_rows, "csv": comma_rows, "jsonl": json_rows}
_ENDINGS = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    try:
        options = _parser().parse_args(arguments)
        return int(options.run(options, Report()) or 0)
    except (
        KgtError,
        OSError,
    ) as error:  # OSError: of a file or folder that was named, or of the disk
        print(f"kgload: {' '.join(printable(str(error)).splitlines())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _stopped()
    except RuntimeError as error:
        if str(error) != QUERY_INTERRUPTED:
            raise
        return _stopped()


def _stopped() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever presses again is about to be served
    print("kgload: stopped; the same command goes on where this one was", file=sys.stderr)
    return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kgload",
        description="Fill the base graph that all users share.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(__doc__ or "").partition("\n\n")[2],
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    starter = commands.add_parser(
        "starter", help="the small graph of everyday facts that ships with this package"
    )
    starter.set_defaults(run=_starter)
    starter.add_argument(
        "--if-empty", action="store_true", help="do nothing where there is a base graph already"
    )
    _add_conceptnet(commands)
    _add_triples(commands)
    for command in (starter, commands.choices["conceptnet"], commands.choices["triples"]):
        command.add_argument(
            "--replace",
            action="store_true",
            help="put it in another base graph's place; overlays stay",
        )
        command.add_argument("--batch", type=_whole(1), help="rows a commit")
        command.add_argument(
            "--offline",
            type=Path,
            metavar="HOME",
            help="home of a Neo4j that is not running and has no database: make one with neo4j-admin",
        )
    verify = commands.add_parser(
        "verify", help="compare the base graph with the file that it was loaded from"
    )
    verify.set_defaults(run=_verify)
    verify.add_argument("path", nargs="?", help="where the file is now (default: where it was)")
    for command in commands.choices.values():
        _add_common(command)
    stats = commands.add_parser("stats", help="what the store holds")
    stats.set_defaults(run=_stats)
    stats.add_argument("--json", action="store_true", help="one JSON document")
    settings = StoreSettings()
    for command in commands.choices.values():
        command.add_argument(
            "--store",
            default=settings.store,
            help="sqlite, or a Neo4j's address (KGT_STORE); its login is in KGT_NEO4J_USER and KGT_NEO4J_PASSWORD",
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
    return parser


def _add_conceptnet(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "conceptnet",
        help="ConceptNet's dump of assertions",
        epilog="example: python -m kgload conceptnet conceptnet-assertions-5.7.0.csv.gz --language en",
    )
    command.set_defaults(run=_conceptnet)
    command.add_argument(
        "path", help="a file, plain or gzip; an http(s) URL; or - for standard input"
    )
    add_filters(command)


def add_filters(command: argparse.ArgumentParser) -> None:
    """What of a dump is taken."""
    command.add_argument(
        "--language",
        default="en",
        help="languages that both ends must be in, by comma; 'all' for any (default: en)",
    )
    command.add_argument("--min-weight", type=_finite, help="leave out what weighs less")
    command.add_argument("--relations", default="", help="only these relations, by comma")
    command.add_argument(
        "--merge-senses",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="one concept a text, whatever its senses (default)",
    )
    command.add_argument(
        "--external-urls",
        action="store_true",
        help="take edges to addresses elsewhere too (ExternalURL): people see them in the graph, no answer is made of them",
    )


def _whole(least: int) -> Callable[[str], int]:
    """A type of options: a whole number from `least` on."""

    def parse(text: str) -> int:
        value = int(text) if text.strip().isdecimal() else -1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
        return value

    return parse


def _finite(text: str) -> float:
    """A type of options: a number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return value


def _add_triples(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "triples",
        help="your own triples: tab-separated, CSV or JSON lines",
        epilog="example: python -m kgload triples graph.tsv --columns relation,head,tail",
    )
    command.set_defaults(run=_triples)
    command.add_argument(
        "file", help="a file, plain or gzip; an http(s) URL; or - for standard input"
    )
    command.add_argument(
        "--columns",
        help="what the columns are: head, relation, tail, weight (default: what a header says, else head,relation,tail)",
    )
    command.add_argument(
        "--format",
        choices=sorted(_LAYOUTS),
        help="how the lines are written (default: by the name)",
    )
    command.add_argument(
        "--declare",
        type=Path,
        help="TOML file of relations outside ConceptNet's list: name and phrases of each",
    )


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--memory", default="2GB", help="what the loader may use before it spills to disk"
    )
    command.add_argument(
        "--max-errors", type=_whole(0), default=1000, help="stop at more malformed lines than this"
    )
    command.add_argument(
        "--rejects", type=Path, help="where malformed lines are written (default: DATA/rejects.tsv)"
    )


def _verify(options: argparse.Namespace, report: Report) -> int:
    embedded = options.store == EMBEDDED
    base = (
        EmbeddedBase(options.data) if embedded else Neo4jBase(login_from_environment(options.store))
    )
    check = verify(
        base, options.data, options.path, _vocabulary(options), _limits(options), report, _rows_of
    )
    report.table("By relation", ("relation", "file", "store"), check.by_relation)
    for difference in check.differences[:SHOWN_ERRORS]:
        report.line(f"differs: {difference}")
    if check.differences:
        report.line(f"{len(check.differences):,} differences; load the file again with --replace")
        return 1
    edges = sum(stored for _, _, stored in check.by_relation)
    report.line(
        f"the store has what the file says: {edges:,} edges by relation, {check.sampled:,} compared one by one"
    )
    return 0


def _stats(options: argparse.Namespace, report: Report) -> None:
    if options.store == EMBEDDED:
        found = stats(options.data, _vocabulary(options))
    else:
        found = graph_stats(login_from_environment(options.store))
    show(found, report, as_json=options.json)


def _starter(options: argparse.Namespace, report: Report) -> None:
    if options.if_empty and _holds_a_base(options):
        return
    with resources.as_file(resources.files("kgload.starter").joinpath("starter.csv")) as path:
        _load(options, str(path), Recipe(), _vocabulary(options), report)


def _holds_a_base(options: argparse.Namespace) -> bool:
    if options.offline is not None:
        return False
    if options.store == EMBEDDED:
        return bool(present_base(options.data).fingerprint)
    return bool(run_async(live.present_fingerprint(login_from_environment(options.store))))


def _conceptnet(options: argparse.Namespace, report: Report) -> None:
    vocabulary = _vocabulary(options)
    _load(options, options.path, conceptnet_recipe(options, vocabulary), vocabulary, report)


def conceptnet_recipe(options: argparse.Namespace, vocabulary: Vocabulary) -> Recipe:
    """What the filters say. Raises LoadError."""
    languages = _listed(options.language)
    if not languages:
        raise LoadError("--language: name one, or 'all'")
    return Recipe(
        languages=() if "all" in languages else languages,
        min_weight=options.min_weight,
        relations=_listed(options.relations),
        merge_senses=options.merge_senses,
        external_urls=options.external_urls,
        vocabulary=vocabulary.fingerprint,
        attribution=CONCEPTNET_ATTRIBUTION,
    )


def _triples(options: argparse.Namespace, report: Report) -> None:
    given = options.columns is not None
    columns = _listed(options.columns, sort=False) if given else NEEDED
    if not set(NEEDED) <= set(columns) <= set(COLUMNS) or len(set(columns)) != len(columns):
        raise LoadError(
            f"--columns {options.columns}: name head, relation, tail, and weight if there is one, once each"
        )
    declared = read_text(options.declare) if options.declare else ""
    vocabulary = _vocabulary(options)
    if declared:
        vocabulary = vocabulary.extended(declared)
    layout = options.format or _layout(options.file)
    recipe = Recipe(
        form="triples",
        languages=(),
        columns=columns,
        columns_given=given,
        layout=layout,
        vocabulary=vocabulary.fingerprint,
        declared=declared,
    )
    _load(options, options.file, recipe, vocabulary, report)


def _rows_of(recipe: Recipe) -> Callable[[Source], Iterable[Item]] | None:
    """How a recipe's lines are read in Python; None where DuckDB reads them."""
    if recipe.form == "conceptnet":
        return None
    read, columns = _LAYOUTS[recipe.layout], Columns(recipe.columns, recipe.columns_given)
    return lambda source: read(source.lines(), columns)


def _layout(name: str) -> str:
    endings = Path(name).suffixes
    if endings and endings[-1] == ".gz":
        endings = endings[:-1]
    return _ENDINGS.get(endings[-1].casefold() if endings else "", "tsv")


def _load(
    options: argparse.Namespace, file: str, recipe: Recipe, vocabulary: Vocabulary, report: Report
) -> None:
    to_graph = options.offline is not None or options.store != EMBEDDED
    if to_graph and recipe.form == "conceptnet":
        recipe = replace(recipe, surface_text=True)
    plan = Plan(
        file=file,
        recipe=recipe,
        vocabulary=vocabulary,
        folder=options.data,
        limits=_limits(options),
        replace=options.replace,
        batch=options.batch or BATCH,
    )
    if to_graph:
        stage: Stage | None = _load_graph(options, plan, report)
    else:
        stage = load_embedded(plan, report, _rows_of(recipe))
    if stage is not None:
        summarize(stage, report)


def _load_graph(options: argparse.Namespace, plan: Plan, report: Report) -> Stage:
    if options.offline is not None:
        require_empty(options.offline)

        def put(stage: Stage) -> None:
            command = load_offline(stage, options.offline, plan.vocabulary, plan.limits, report)
            if command is not None:
                report.line(
                    "neo4j-admin was not found; the files are written, now run where it is:"
                )
                report.line("  " + shlex.join(command))
            else:
                report.line("imported; the server makes the constraints when it first starts on it")

        return load_graph(plan, report, _rows_of(plan.recipe), put)
    login = login_from_environment(options.store)
    run_async(live.require_usable(login))
    with ThreadPoolExecutor(
        1
    ) as beside:  # a Neo4j that has just started takes seconds for its schema
        prepared = beside.submit(lambda: asyncio.run(live.prepare(login)))

        def put_live(stage: Stage) -> None:
            prepared.result()
            batch = options.batch or live.BATCH
            base = load_live(
                stage,
                login,
                plan.vocabulary,
                plan.limits,
                report,
                replace=plan.replace,
                batch=batch,
            )
            if base.unchanged:
                report.line(f"{options.store} holds this graph already; nothing was changed")

        return load_graph(plan, report, _rows_of(plan.recipe), put_live)


def _limits(options: argparse.Namespace) -> Limits:
    rejects = options.rejects or options.data / "rejects.tsv"
    if options.rejects and (options.rejects.is_dir() or not options.rejects.parent.is_dir()):
        raise LoadError(f"--rejects {options.rejects}: name a file in a folder that is there")
    return Limits(parse_memory(options.memory), options.max_errors, rejects)


def _listed(text: str, *, sort: bool = True) -> tuple[str, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(sorted(set(parts)) if sort else parts)


def _vocabulary(options: argparse.Namespace) -> Vocabulary:
    if options.vocabulary is None:
        return Vocabulary.built_in()
    return Vocabulary.parse(read_text(options.vocabulary))


if __name__ == "__main__":
    raise SystemExit(main())
