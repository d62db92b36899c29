"""python -m training train|report: how the default adapter is made, and what it does on cases it
has never seen."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from server.errors import StartupError
from server.graph.relation import Vocabulary
from server.lm.folders import cache_folder, default_model_folder

ADAPTER = Path("server/lm/adapter")


def main() -> int:
    """The command line; returns the exit status."""
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except StartupError as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="train the adapter (about an hour on 2 cores)")
    train.set_defaults(run=_train)
    train.add_argument("--examples", type=int, default=None, help="number of generated examples")
    train.add_argument("--out", type=Path, default=ADAPTER, help="folder of the adapter")
    train.add_argument(
        "--base-texts",
        type=Path,
        default=Path("build/base_texts.safetensors"),
        help="where sampled texts are kept",
    )
    report = commands.add_parser(
        "report", help="write docs/model.md: base beside adapter, on cases never seen"
    )
    report.set_defaults(run=_report)
    report.add_argument("--adapter", type=Path, default=ADAPTER, help="folder of the adapter")
    report.add_argument("--cases", type=int, default=30, help="questions in each held-out split")
    report.add_argument(
        "--everyday", type=int, default=150, help="everyday corrections, of the 150 there are"
    )
    report.add_argument(
        "--base-everyday", type=int, default=50, help="how many of them the slow base model gets"
    )
    report.add_argument("--out", type=Path, default=Path("docs/model.md"))
    report.add_argument(
        "--kept", type=Path, default=Path("build/report"), help="where measured figures are kept"
    )
    for command in (train, report):
        command.add_argument(
            "--data", type=Path, default=Path("../shared/data"), help="folder of the reference data"
        )
        command.add_argument(
            "--model",
            type=Path,
            default=default_model_folder(cache_folder()),
            help="folder of the converted base model (python -m server.lm.fetch)",
        )
    return parser


def _train(arguments: argparse.Namespace) -> None:
    from training.examples import Writer
    from training.sources import Sources
    from training.train import Recipe, train

    recipe = Recipe(examples=arguments.examples) if arguments.examples else Recipe()
    writer = Writer(Sources(arguments.data), Vocabulary.built_in(), recipe.seed)
    examples = list(writer.examples(recipe.examples))
    train(examples, arguments.model, arguments.out, recipe, arguments.base_texts)


def _report(arguments: argparse.Namespace) -> None:
    from training import report

    def measured(adapter: Path | None, everyday: int) -> report.Measured:
        print(f"measuring {'the base' if adapter is None else adapter} ...", flush=True)
        return report.measure(
            arguments.model, adapter, arguments.data, arguments.cases, everyday, arguments.kept
        )

    base = measured(None, arguments.base_everyday)
    report.write(base, measured(arguments.adapter, arguments.everyday), arguments.out)
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    raise SystemExit(main())
