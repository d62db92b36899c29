"""What the commands of `python -m kgload` do, each from its parsed options."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib import resources

from kgload.errors import LoadError
from kgload.formats import FORMATS
from kgload.limits import Limits, parse_memory
from kgload.load import load, summarize
from kgload.recipe import Recipe
from kgload.rejects import SHOWN_ERRORS
from kgload.report import Report
from kgload.source import read_text
from kgload.targets import chosen_target
from kgload.targets.protocol import Choice, Plan, Stats, Target
from kgload.verify import verify
from server.graph.relation import Vocabulary


def run_starter(options: argparse.Namespace, report: Report) -> int:
    """Load the graph that ships with this package."""
    if options.if_empty and _target(options, report).holds_a_base():
        return 0
    with resources.as_file(resources.files("kgload.starter").joinpath("starter.csv")) as path:
        return _load(options, str(path), Recipe(), _vocabulary(options), report)


def run_load(options: argparse.Namespace, report: Report) -> int:
    """Load a file in the format that the command names."""
    recipe, vocabulary = FORMATS[options.command].recipe(options, _vocabulary(options))
    return _load(options, options.file, recipe, vocabulary, report)


def run_verify(options: argparse.Namespace, report: Report) -> int:
    """Compare the base with its file. Returns 1 where they differ."""
    base = _target(options, report).stored()
    vocabulary, limits = _vocabulary(options), _limits(options)
    check = verify(base, options.data, options.path, vocabulary, limits, report)
    report.table("By relation", ("relation", "file", "store"), check.by_relation)
    for difference in check.differences[:SHOWN_ERRORS]:
        report.line(f"differs: {difference}")
    if check.differences:
        report.line(f"{len(check.differences):,} differences; load the file again with --replace")
        return 1
    edges = sum(stored for _, _, stored in check.by_relation)
    report.line(
        f"the store has what the file says: {edges:,} edges by relation,"
        f" {check.sampled:,} compared one by one"
    )
    return 0


def run_stats(options: argparse.Namespace, report: Report) -> int:
    """Print what the store holds: tables for people, one JSON document for programs."""
    found = _target(options, report).stats(_vocabulary(options))
    relations = sorted(found.relations.items(), key=lambda item: (-item[1], item[0]))
    if options.json:
        document = asdict(replace(found, relations=dict(relations)))
        report.line(json.dumps(document, ensure_ascii=False))
        return 0
    report.table("Relations", ("relation", "edges"), relations)
    report.table("Largest hubs", ("concept", "edges"), list(found.hubs.items()))
    report.table("In all", ("what", "value"), _totals(found))
    if found.attribution:
        report.line(found.attribution)
    return 0


def _totals(found: Stats) -> list[tuple[str, object]]:
    return [
        ("base graph", found.base_graph),
        ("loaded from", found.loaded_from),
        ("concepts", found.concepts),
        ("edges", found.edges),
        ("users", found.users),
        ("edits", found.edits),
    ]


COMMANDS: Mapping[str, Callable[[argparse.Namespace, Report], int]] = {
    "starter": run_starter,
    **dict.fromkeys(FORMATS, run_load),
    "verify": run_verify,
    "stats": run_stats,
}


def _load(
    options: argparse.Namespace, file: str, recipe: Recipe, vocabulary: Vocabulary, report: Report
) -> int:
    limits, target = _limits(options), _target(options, report)
    if target.keeps_surface_text and FORMATS[recipe.form].has_surface_text:
        recipe = replace(recipe, surface_text=True)
    plan = Plan(
        file=file,
        recipe=recipe,
        vocabulary=vocabulary,
        folder=options.data,
        limits=limits,
        replace=options.replace,
        batch=options.batch,
    )
    workspace = load(plan, target, report)
    if workspace is not None:
        summarize(workspace, report)
    return 0


def _target(options: argparse.Namespace, report: Report) -> Target:
    """The store that the options name. Only loads have `--offline`."""
    offline = getattr(options, "offline", None)
    return chosen_target(Choice(options.store, options.data, offline), report)


def _limits(options: argparse.Namespace) -> Limits:
    rejects = options.rejects or options.data / "rejects.tsv"
    if options.rejects and (options.rejects.is_dir() or not options.rejects.parent.is_dir()):
        raise LoadError(f"--rejects {options.rejects}: name a file in a folder that is there")
    return Limits(parse_memory(options.memory), options.max_errors, rejects)


def _vocabulary(options: argparse.Namespace) -> Vocabulary:
    if options.vocabulary is None:
        return Vocabulary.built_in()
    return Vocabulary.parse(read_text(options.vocabulary))
