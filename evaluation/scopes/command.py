"""python -m evaluation scopes: the command line."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaluation.corrections import bases
from evaluation.corrections.cases import DEVELOPMENT, HALVES
from evaluation.corrections.selection import Selection
from evaluation.corrections.sets import SETS
from evaluation.scopes import kinds, table
from evaluation.scopes.banks import Bank, banks_of
from evaluation.scopes.curves import Search, Thresholds
from evaluation.scopes.drawing import Curve, svg
from evaluation.scopes.table import Figures
from evaluation.scopes.weighing import Weighed, Weigher
from server import assemble
from server.errors import StartupError
from server.settings import Settings, read_settings
from server.stores.neo4j.connection import EMBEDDED
from server.tuning.answer import Answerer, AnswerRules
from server.tuning.ports import LanguageModel
from server.tuning.recall import SHARPNESS

SOURCES = (*SETS, kinds.NAME)
WAYS = ("keys", "names", "confirmed", "thresholds")
_EPILOG = """\
In each cell: paraphrases won / unrelated queries left alone, in percent. "all" counts each probe
the same, "balanced" each set; an alias counts in neither. The sets are those of `corrections`, and
"kinds" are the held-out kinds of training/kinds. Choose thresholds on the development half.

example: python -m evaluation scopes --cases 60 --cases firstperson=150 --out curve.svg
The model takes the KGT_* settings.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """The users of one set, and how the base graph is built in which their subjects are found."""

    name: str
    banks: Sequence[Bank]
    build_base: Callable[[Path], None]


def add_to(commands: Any, data: Path) -> None:
    """Add the command. `data` is the folder of the reference data unless another one is named."""
    one = commands.add_parser(
        "scopes",
        help="how well scope keys tell what a query asks, at each floor and with confirmation",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.set_defaults(run=run)
    one.add_argument("--data", type=Path, default=data, help="folder of the reference data")
    one.add_argument(
        "--half", choices=HALVES, default=DEVELOPMENT, help="half of each set (default: it)"
    )
    one.add_argument(
        "--cases",
        type=_cases,
        action="append",
        default=[],
        metavar="[SET=]N",
        help="cases of each set, or of this one (default: all)",
    )
    one.add_argument("--sets", nargs="+", choices=SOURCES, default=SOURCES, help="default: all")
    one.add_argument("--seed", type=int, default=0, help="draws the order of the cases")
    one.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="what to compare")
    one.add_argument(
        "--keep",
        type=float,
        default=0.95,
        help="share of unrelated queries that the best thresholds leave alone (default: 0.95)",
    )
    one.add_argument("--out", type=Path, metavar="FILE.svg", help="file to draw the curves in")
    one.add_argument(
        "--probes", type=Path, metavar="FILE.jsonl", help="file for each probe's nearest facts"
    )


def _cases(argument: str) -> tuple[str, int]:
    """A set and a number of its cases; the set is empty for all."""
    name, _, number = argument.rpartition("=")
    if (name and name not in SOURCES) or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{argument} is neither N nor SET=N")
    return name, int(number)


def run(options: argparse.Namespace) -> None:
    """Run the command. Raises StartupError."""
    started = time.monotonic()
    asked = list(_asked(options))
    if not any(one.banks for one in asked):
        raise StartupError(f"the {options.half} half of {', '.join(options.sets)} asks nothing")
    settings = read_settings(["--store", EMBEDDED])
    model = assemble.model(settings)
    try:
        weighed = asyncio.run(_weighed(settings, model, asked))
        own = Thresholds(settings.floor or model.floor, model.sure, 1 / SHARPNESS)
    finally:
        model.close()
    figures = Figures(_by_group(weighed), own)
    if options.probes:
        lines = map(_record, weighed)
        options.probes.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print("\n".join(_report(figures, options.ways, options.keep)))
    if options.out:
        _draw(figures, options.out)
    document = {
        "measurement": "scopes",
        "half": options.half,
        "seed": options.seed,
        "model": model.fingerprint,
        "adapter": model.adapter_fingerprint,
        **table.document(figures, options.keep),
        "seconds": round(time.monotonic() - started, 1),
    }
    print(json.dumps(document))


def _asked(options: argparse.Namespace) -> Iterator[Asked]:
    """The users of each set that was chosen."""
    cases = dict(options.cases)
    for name in options.sets:
        most = cases.get(name, cases.get(""))
        if name == kinds.NAME:
            yield Asked(name, kinds.kind_banks(options.half, most), bases.build_starter)
        else:
            selection = Selection(options.half, options.seed, cases=most)
            of = SETS[name]
            yield Asked(name, banks_of(of, options.data, selection), of.build_base)


async def _weighed(
    settings: Settings, model: LanguageModel, asked: Iterable[Asked]
) -> list[Weighed]:
    """What the model says about all probes, in a store for each set that nobody writes to."""
    weighed = []
    for one in asked:
        if not one.banks:
            continue
        with tempfile.TemporaryDirectory() as folder:
            one.build_base(Path(folder))
            placed = settings.model_copy(update={"data": Path(folder)})
            vocabulary = await assemble.vocabulary(placed)
            store = await assemble.open_store(placed, vocabulary)
            try:
                rules = AnswerRules(normalization=settings.normalization)
                weigher = Weigher(Answerer(store, model, vocabulary, rules))
                weighed += await weigher.weigh(one.name, one.banks)
            finally:
                await store.close()
    return weighed


def _by_group(weighed: Iterable[Weighed]) -> Mapping[str, Sequence[Weighed]]:
    groups: dict[str, list[Weighed]] = defaultdict(list)
    for one in weighed:
        groups[one.probe.group].append(one)
    return groups


def _report(figures: Figures, chosen: Sequence[str], keep: float) -> Iterator[str]:
    """The tables of the ways that were chosen."""
    samples, own = figures.samples(), figures.own
    yield from table.counts_table(samples)
    for name, way in zip(WAYS, table.ways(figures), strict=False):
        if name in chosen:
            yield f"\n## {way.name.capitalize()}\n"
            yield from table.floors_table(way, samples, own)
    yield f"\n## The model's own thresholds: {table.said(own)}\n"
    yield from table.best_table(own, samples)
    if "thresholds" not in chosen:
        return
    for name in table.TOGETHER:
        search = Search(samples[name], keep)
        title = f"{name.capitalize()}: best floor for each sure (row) and confirmation (column)"
        yield f"\n## {title}\n"
        yield from table.thresholds_table(search)
        if search.best is None:
            yield f"\nNo thresholds leave {keep:.0%} of the unrelated queries alone."
            continue
        yield f"\nThe best: {table.said(search.best.thresholds)}\n"
        yield from table.best_table(search.best.thresholds, samples)


def _draw(figures: Figures, path: Path) -> None:
    sample = figures.samples()[table.ALL]
    if not sample.paraphrases or not sample.unrelated:
        print("nothing to draw: a curve needs paraphrases and unrelated queries", file=sys.stderr)
        return
    curves = [Curve.of(way, sample) for way in table.ways(figures)]
    path.write_text(svg(curves, figures.own), encoding="utf-8")


def _record(weighed: Weighed) -> str:
    """One probe as a JSON line."""
    probe = weighed.probe
    return json.dumps(
        {
            "group": probe.group,
            "query": probe.query,
            "is_paraphrase": probe.is_paraphrase,
            "near": [asdict(near) for near in weighed.near],
        },
        ensure_ascii=False,
    )
