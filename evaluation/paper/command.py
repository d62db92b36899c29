"""python -m evaluation run, and build-extension: the command lines."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from evaluation.paper import graph
from evaluation.paper.choosing import PARTS
from evaluation.paper.public_sets import PUBLIC_SETS

COUNTERFACT, EXTENSION = ("counterfact", "extension")
DATASETS = (COUNTERFACT, EXTENSION, *PUBLIC_SETS)
_RUN_EPILOG = """\
Query-answer pairs enter one after the other, each once, and nothing is restored. After the last one
the whole set is scored. A run that is stopped goes on where it was when it is given the same --out;
a method that was stopped among its edits starts them again. Tables of all that is in --out are
written after each method: README.md, results.csv, and plots.

example: python -m evaluation run --method 'no edit,KGT literal' --sizes 10,100 --out DIR
The model takes the KGT_* settings.
"""


def add_to(commands: Any, data: Path) -> None:
    """Add the commands. `data` is the folder of the reference data unless another one is named."""
    _add_run(commands, data)
    _add_build_extension(commands, data)


def _add_run(commands: Any, data: Path) -> None:
    one = commands.add_parser(
        "run",
        help="the paper's tables: every system edits facts one by one, and is asked about them",
        epilog=_RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.set_defaults(run=_run)
    one.add_argument("--model", help="as KGT_MODEL (default: the one that ships)")
    one.add_argument("--adapter", help="as KGT_ADAPTER (default: the model's own, or none)")
    one.add_argument("--data", type=Path, default=data, help="folder of the reference data")
    one.add_argument(
        "--dataset",
        choices=DATASETS,
        default=COUNTERFACT,
        help="CounterFact, CounterFactExtension, or a public set of corrections",
    )
    one.add_argument("--file", type=Path, help="the data set's file, if it is another one")
    one.add_argument(
        "--method",
        type=_listed,
        action="extend",
        metavar="NAME,...",
        help="a method, several with commas, or all (default: all)",
    )
    one.add_argument(
        "--sizes", type=_sizes, default=(10, 100), help="numbers of edits (default: 10,100)"
    )
    one.add_argument("--seeds", type=int, default=1, help="draws of the cases (default: 1)")
    one.add_argument(
        "--part",
        choices=PARTS,
        default="held-out",
        help="subjects: those held out from the adapter's training (default), of these the half"
        " that nothing was tuned on, or all; of a public set, the development half, the unseen"
        " one, or both",
    )
    one.add_argument(
        "--base",
        choices=graph.BASES,
        default=graph.CONCEPTNET,
        help="base graph: ConceptNet's triples with the starter graph (default), the starter graph,"
        " or that with what is true of every case",
    )
    one.add_argument("--store", help="as KGT_STORE: sqlite, in --out (default), or a Neo4j")
    one.add_argument("--foreign", type=int, default=30, help="foreign questions (default: 30)")
    one.add_argument("--out", type=Path, required=True, help="folder of units, tables and plots")


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


def _run(options: argparse.Namespace) -> None:
    from evaluation.paper import preparing, tables  # import torch and matplotlib
    from evaluation.paper.progress import ProgressBar
    from evaluation.paper.running import Runner

    with ProgressBar() as bar, preparing.prepared(options) as (plan, model):
        tables.write_left_out(options.out, plan)
        runner = Runner(plan, model, options.out, bar, lambda: tables.write(options.out))
        try:
            runner.run()
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here", file=sys.stderr)
            raise
    document = tables.write(options.out)
    print(json.dumps(document))


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
