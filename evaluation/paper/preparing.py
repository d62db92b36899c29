"""Prepares a run from the command's options: the cases, the base graph, the model and the plan."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from evaluation.corrections.caller import ANSWER_TOKENS as SET_TOKENS
from evaluation.corrections.sets import SETS
from evaluation.methods.method import EditCase
from evaluation.methods.plain import ANSWER_TOKENS as FACT_TOKENS
from evaluation.methods.registry import ALL, chosen
from evaluation.methods.setting import EvalModel
from evaluation.paper import extension, graph
from evaluation.paper.choosing import TooLong, choose, outside
from evaluation.paper.command import EXTENSION
from evaluation.paper.completing import Completer, labels_of
from evaluation.paper.pararel import ParaRel
from evaluation.paper.public_sets import PUBLIC_SETS, background_rows, choose_items
from evaluation.paper.reading import Dataset, LeftOut, read_dataset
from evaluation.paper.running import Plan
from evaluation.paper.scoring import Item
from evaluation.paper.units import WORK, Setup
from server.settings import Settings, read_settings
from server.stores.neo4j.connection import EMBEDDED
from training.sources import COUNTERFACT_ORIGIN, PAIRS_ORIGIN, Sources

EXTENSION_SEED = 0


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The cases of each seed, what was left out, and a hash of where they come from."""

    of_seeds: dict[int, Sequence[Item]]
    left_out: tuple[LeftOut, ...]
    digest: str


@contextlib.contextmanager
def prepared(options: argparse.Namespace) -> Iterator[tuple[Plan, EvalModel]]:
    """The plan of a run, and its model until the block ends. Raises StartupError."""
    methods = chosen(options.method or [ALL])
    pararel = ParaRel(options.data)
    facts = _facts(options, pararel)
    completer = Completer(pararel, Sources(options.data))
    cases = tuple(map(completer.completed, facts.cases))
    settings = _settings(options)
    tokens = SET_TOKENS if options.dataset in PUBLIC_SETS else FACT_TOKENS
    model = EvalModel(settings, options.out / WORK / "kept", answer_tokens=tokens)
    try:
        too_long = TooLong(model.plain.count, model.plain.texts.context_tokens)
        rows = graph.rows_of(options.base, options.data, cases, pararel)
        if options.dataset in PUBLIC_SETS:
            drawn, more = _drawn_from_set(options)
            rows = chain(rows, more)
        else:
            drawn = _drawn_from_facts(options, facts, cases, too_long)
        graph.load(rows, options.out / WORK / "bases" / f"{_base_name(options)}.tsv", settings)
        tested = _edits(drawn)
        others = outside(cases, options.part, tested, too_long)
        model.labels = labels_of([*tested, *others], pararel.labels)
        plan = Plan(
            setup=_setup(options, model, drawn.digest),
            methods=methods,
            sizes=options.sizes,
            chosen=drawn.of_seeds,
            outside=others,
            foreign=[case.prompt for case in others[: options.foreign]],
            left_out=drawn.left_out,
            command=options.command_line,
        )
        yield plan, model
    finally:
        model.release()


# Cases


def _facts(options: argparse.Namespace, pararel: ParaRel) -> Dataset:
    """The cases of CounterFact or of the extension, which is built where no file is named.

    A public set has CounterFact for what is outside of the test.
    """
    file: Path | None = options.file if options.dataset not in PUBLIC_SETS else None
    if options.dataset == EXTENSION:
        if file is None:
            file = options.out / WORK / "extension.json"
            extension.write(extension.build(pararel, EXTENSION_SEED), file)
        return read_dataset(options.dataset, file, PAIRS_ORIGIN)
    if file is None:
        flat = options.data / "counterfact.jsonl"
        nested = options.data / "counterfact.json"
        file = nested if nested.exists() and not flat.exists() else flat
    return read_dataset(options.dataset, file, COUNTERFACT_ORIGIN)


def _drawn_from_facts(
    options: argparse.Namespace, facts: Dataset, cases: Sequence[EditCase], too_long: TooLong
) -> _Drawn:
    of_seeds: dict[int, Sequence[Item]] = {}
    left_out = list(facts.left_out)
    for seed in range(options.seeds):
        items, passed = choose(cases, options.part, seed, max(options.sizes), too_long)
        of_seeds[seed] = items
        left_out += passed
    return _Drawn(of_seeds, tuple(dict.fromkeys(left_out)), facts.digest)


def _drawn_from_set(options: argparse.Namespace) -> tuple[_Drawn, list[graph.Row]]:
    """The cases of a public set, and what they need in the base graph."""
    name = options.dataset
    reading = SETS[name].read(options.data)
    malformed = (line.partition(": ") for line in reading.malformed)
    left_out = [LeftOut(place, "MalformedLine", why) for place, _, why in malformed]
    of_seeds: dict[int, Sequence[Item]] = {}
    for seed in range(options.seeds):
        items, passed = choose_items(name, reading.cases, options.part, seed, max(options.sizes))
        of_seeds[seed] = items
        left_out += passed
    file = options.data / "corrections" / f"{name}.jsonl"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    rows = list(background_rows(reading.cases))
    return _Drawn(of_seeds, tuple(dict.fromkeys(left_out)), digest), rows


def _edits(drawn: _Drawn) -> list[EditCase]:
    return [edit for items in drawn.of_seeds.values() for item in items for edit in item.edits]


# Model and store


def _base_name(options: argparse.Namespace) -> str:
    return f"{options.dataset}-{options.base}"


def _settings(options: argparse.Namespace) -> Settings:
    given = {"--model": options.model, "--adapter": options.adapter}
    arguments = [part for name, value in given.items() if value for part in (name, value)]
    folder = options.out / WORK / "stores" / _base_name(options)
    store = options.store or EMBEDDED
    return read_settings([*arguments, "--store", store, "--data", str(folder)])


def _setup(options: argparse.Namespace, model: EvalModel, digest: str) -> Setup:
    loaded = model.loaded
    name = Path(model.settings.model).name
    return Setup(
        model=f"{name} with its adapter" if loaded.adapter_fingerprint else name,
        fingerprint=loaded.fingerprint,
        adapter=loaded.adapter_fingerprint,
        dataset=options.dataset,
        digest=digest,
        base=options.base,
        part=options.part,
    )
