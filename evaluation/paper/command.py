"""python -m evaluation run, and build-extension: the command lines."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from evaluation.methods.weights.layers import Layers, parse_layers
from evaluation.paper import graph
from evaluation.paper.choosing import PARTS
from evaluation.paper.public_sets import PUBLIC_SETS

COUNTERFACT, EXTENSION = ("counterfact", "extension")
DATASETS = (COUNTERFACT, EXTENSION, *PUBLIC_SETS)
PUBLISHED, BEST = "published", "best"
"""Which layers are edited."""
_RUN_EPILOG = """\
Query-answer pairs enter one after the other, each once, and nothing is restored. After the last one
the whole set is scored. A run that is stopped goes on where it was when it is given the same --out,
among a method's edits and scores too. How long it will take is told at its start. Tables of all
that is in --out are written after each method: README.md, results.csv, and plots.

example: python -m evaluation run --method 'no edit,KGT literal' --sizes 10,100 --out DIR
The model takes the KGT_* settings.
"""
_SWEEP_EPILOG = """\
Each candidate edits the same cases one after the other and is asked at the end; then the weights
are restored. None of these cases is tested by `run` with the same --part, --sizes and --seeds.
What was tried is kept in --out, where `run --layers best` reads it and the tables show it.

example: python -m evaluation sweep --method ROME,FT --layers 4,10,16,22 --out DIR
"""


def add_to(commands: Any, data: Path) -> None:
    """Add the commands. `data` is the folder of the reference data unless another one is named."""
    _add_run(commands, data)
    _add_sweep(commands, data)
    _add_build_extension(commands, data)


def _add_run(commands: Any, data: Path) -> None:
    one = commands.add_parser(
        "run",
        help="the paper's tables: every system edits facts one by one, and is asked about them",
        epilog=_RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.set_defaults(run=_run)
    one.add_argument(
        "--method",
        type=_listed,
        action="extend",
        metavar="NAME,...",
        help="a method, several with commas, or all (default: all)",
    )
    _add_cases(one, data)
    one.add_argument(
        "--base",
        choices=graph.BASES,
        default=graph.CONCEPTNET,
        help="base graph: ConceptNet's triples with the starter graph (default), the starter graph,"
        " or that with what is true of every case",
    )
    one.add_argument(
        "--layers",
        choices=(PUBLISHED, BEST),
        default=PUBLISHED,
        help="which layers methods edit: the papers' at the same relative depth (default), or those"
        " that `sweep` found best in the same --out",
    )
    one.add_argument("--store", help="as KGT_STORE: sqlite, in --out (default), or a Neo4j")
    one.add_argument(
        "--foreign", type=_count_or_none, default=30, help="foreign questions (default: 30)"
    )
    one.add_argument("--out", type=Path, required=True, help="folder of units, tables and plots")


def _add_sweep(commands: Any, data: Path) -> None:
    one = commands.add_parser(
        "sweep",
        help="which layers a method that edits weights edits best, on cases outside of the test",
        epilog=_SWEEP_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.set_defaults(run=_sweep, base="", store=None)
    one.add_argument(
        "--method",
        type=_listed,
        action="extend",
        metavar="NAME,...",
        required=True,
        help="a method that edits weights, or several with commas",
    )
    one.add_argument(
        "--layers",
        type=_layers,
        metavar="LAYERS,...",
        help="layers to try, counted from 0: 4,8,13-17 are three candidates"
        " (default: some at five depths); the published ones are tried as well",
    )
    one.add_argument("--cases", type=_count, default=20, help="cases to edit (default: 20)")
    _add_cases(one, data)
    one.add_argument("--out", type=Path, required=True, help="the folder of the run")


def _add_cases(one: argparse.ArgumentParser, data: Path) -> None:
    """The options that say which model is asked about which cases."""
    one.add_argument("--model", help="as KGT_MODEL (default: the one that ships)")
    one.add_argument(
        "--adapter", help="as KGT_ADAPTER (default: the model's own, or none); none: the raw model"
    )
    one.add_argument("--data", type=Path, default=data, help="folder of the reference data")
    one.add_argument(
        "--dataset",
        choices=DATASETS,
        default=COUNTERFACT,
        help="CounterFact, CounterFactExtension, or a public set of corrections",
    )
    one.add_argument("--file", type=Path, help="the data set's file, if it is another one")
    one.add_argument(
        "--sizes", type=_sizes, default=(10, 100), help="numbers of edits (default: 10,100)"
    )
    one.add_argument("--seeds", type=_count, default=1, help="draws of the cases (default: 1)")
    one.add_argument(
        "--part",
        choices=PARTS,
        default="held-out",
        help="subjects: those held out from the adapter's training (default), of these the half"
        " that nothing was tuned on, or all; of a public set, the development half, the unseen"
        " one, or both",
    )


def _add_build_extension(commands: Any, data: Path) -> None:
    one = commands.add_parser(
        "build-extension",
        help="rebuild CounterFactExtension from ParaRel's pairs (the paper's Appendix B)",
        epilog="example: python -m evaluation build-extension --out extension.json",
    )
    one.set_defaults(run=_build_extension)
    one.add_argument("--data", type=Path, default=data, help="folder of the reference data")
    one.add_argument("--seed", type=int, default=0, help="draws targets and paraphrases")
    one.add_argument("--out", type=Path, required=True, help="file to write")


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 10,100")
    return sizes


def _layers(text: str) -> list[Layers]:
    try:
        return [parse_layers(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _count_or_none(text: str) -> int:
    return 0 if text == "0" else _count(text)


def _run(options: argparse.Namespace) -> None:
    from evaluation.paper import preparing, tables, time_left  # import torch and matplotlib
    from evaluation.paper.progress import ProgressBar
    from evaluation.paper.running import Runner

    with ProgressBar() as bar, preparing.prepared(options) as (plan, model):
        tables.write_left_out(options.out, plan)
        runner = Runner(plan, model, options.out, bar, lambda: tables.write(options.out))
        if expected := runner.expected_s:
            print(time_left.told(expected), file=sys.stderr, flush=True)
        try:
            runner.run()
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here", file=sys.stderr)
            raise
    document = tables.write(options.out)
    print(json.dumps(document))


def _sweep(options: argparse.Namespace) -> None:
    from evaluation.paper import layers_table, sweeping  # import torch
    from evaluation.paper.progress import ProgressBar

    with ProgressBar() as bar:
        sweeps = sweeping.sweep_all(options, bar)
    print("\n".join(layers_table.table(sweeps)) + "\n")
    print(json.dumps(layers_table.document(sweeps)))


def _build_extension(options: argparse.Namespace) -> None:
    from evaluation.paper import extension
    from evaluation.paper.pararel import ParaRel

    built = extension.build(ParaRel(options.data), options.seed)
    extension.write(built, options.out)
    for line in built.left_out:
        print(f"left out: {line}")
    print(
        f"{len(built.samples):,} samples, where the paper has {extension.PAPERS_SAMPLES:,};"
        f" {built.without_paraphrase:,} without a paraphrase, because their relation has one"
        " pattern only"
    )
    print(
        json.dumps(
            {
                "measurement": "build-extension",
                "seed": options.seed,
                "samples": len(built.samples),
                "papers_samples": extension.PAPERS_SAMPLES,
                "without_paraphrase": built.without_paraphrase,
                "left_out": len(built.left_out),
            }
        )
    )
