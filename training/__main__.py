"""python -m training: make the default model's adapters."""

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
    train.add_argument("--start", type=Path, help="folder of an adapter to go on from")
    train.add_argument("--out", type=Path, default=ADAPTER, help="folder of the adapter")
    train.add_argument(
        "--base-texts",
        type=Path,
        default=Path("build/base_texts.safetensors"),
        help="file that keeps the sampled texts",
    )
    train.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder of the reference data"
    )
    learning = commands.add_parser(
        "learning", help="train the learning template's own adapter (about half an hour)"
    )
    learning.set_defaults(run=_learning)
    learning.add_argument("--examples", type=int, default=None, help="number of drawn messages")
    learning.add_argument(
        "--adapter", type=Path, default=ADAPTER, help="folder of the adapter that it goes on top of"
    )
    learning.add_argument(
        "--out", type=Path, default=ADAPTER / "learning", help="folder of the new adapter"
    )
    for command in (train, learning):
        command.add_argument(
            "--model",
            type=Path,
            default=default_model_folder(cache_folder()),
            help="folder of the converted base model (python -m server.lm.fetch)",
        )
    return parser


def _train(arguments: argparse.Namespace) -> None:
    from training.alike import Alike
    from training.examples import ExampleMaker
    from training.sources import Sources
    from training.train import Material, Recipe, train

    recipe = Recipe(examples=arguments.examples) if arguments.examples else Recipe()
    sources, vocabulary = Sources(arguments.data), Vocabulary.built_in()
    maker = ExampleMaker(sources, vocabulary, recipe.seed)
    alike = Alike(sources, vocabulary, recipe.seed + 1)
    material = Material(list(maker.examples(recipe.examples)), alike.batches(recipe.key_texts))
    train(material, arguments.model, arguments.out, recipe, arguments.base_texts, arguments.start)


def _learning(arguments: argparse.Namespace) -> None:
    from training.learning import LearningRecipe, train_learning

    chosen = LearningRecipe(arguments.examples) if arguments.examples else LearningRecipe()
    train_learning(arguments.model, arguments.adapter, arguments.out, chosen)


if __name__ == "__main__":
    raise SystemExit(main())
