"""Prepares a run from the command's options: the cases, the base graph, the model and the plan."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from evaluation.corrections.caller import ANSWER_TOKENS as SET_TOKENS
from evaluation.corrections.sets import SETS
from evaluation.methods.method import EditCase, Probe
from evaluation.methods.plain import ANSWER_TOKENS as FACT_TOKENS
from evaluation.methods.registry import ALL, chosen
from evaluation.methods.setting import EvalModel
from evaluation.paper import extension, graph
from evaluation.paper.choosing import TooLong, choose, outside
from evaluation.paper.command import BEST, EXTENSION
from evaluation.paper.completing import Completer, labels_of
from evaluation.paper.pararel import ParaRel
from evaluation.paper.public_sets import PUBLIC_SETS, background_rows, choose_items
from evaluation.paper.reading import Dataset, EmptyDataset, LeftOut, read_dataset
from evaluation.paper.running import Plan
from evaluation.paper.scoring import Item
from evaluation.paper.sweeps import Sweeps
from evaluation.paper.units import WORK, Setup
from server.settings import Settings, read_settings
from server.stores.neo4j.connection import EMBEDDED
from training.sources import COUNTERFACT_ORIGIN, PAIRS_ORIGIN, Sources

EXTENSION_SEED = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """The cases that are tested, and those that are not."""

    of_seeds: dict[int, Sequence[Item]]
    digest: str
    """A hash of where they come from."""
    left_out: tuple[LeftOut, ...]
    outside: Sequence[EditCase] = ()
    known: Sequence[EditCase] = ()
    """All cases of CounterFact or its extension, tested or not."""
    background: Sequence[graph.Row] = ()
    """What the tested cases need in the base graph."""

    @property
    def tested(self) -> list[EditCase]:
        """The edits of all seeds."""
        return [edit for items in self.of_seeds.values() for item in items for edit in item.edits]


@contextlib.contextmanager
def prepared(options: argparse.Namespace) -> Iterator[tuple[Plan, EvalModel]]:
    """The plan of a run, and its model until the block ends. Raises StartupError."""
    methods = chosen(options.method or [ALL])
    pararel = ParaRel(options.data)
    with drawn(options, pararel) as (cases, model):
        rows = graph.rows_of(options.base, options.data, cases.known, pararel)
        base = options.out / WORK / "bases" / f"{_base_name(options)}.tsv"
        graph.load(chain(rows, cases.background), base, model.settings)
        model.labels = labels_of([*cases.tested, *cases.outside], pararel.labels)
        setup = setup_of(options, model, cases.digest)
        if options.layers == BEST:
            methods = Sweeps(options.out, setup).at_best(methods, cases.tested)
        plan = Plan(
            setup=setup,
            methods=methods,
            sizes=options.sizes,
            chosen=cases.of_seeds,
            outside=cases.outside,
            foreign=[Probe(c.prompt, c.target_true) for c in cases.outside[: options.foreign]],
            left_out=cases.left_out,
            command=options.command_line,
        )
        yield plan, model


@contextlib.contextmanager
def drawn(options: argparse.Namespace, pararel: ParaRel) -> Iterator[tuple[Drawn, EvalModel]]:
    """The cases, and the model until the block ends. Raises StartupError."""
    facts = _facts(options, pararel)
    completer = Completer(pararel, Sources(options.data))
    cases = tuple(map(completer.completed, facts.cases))
    tokens = SET_TOKENS if options.dataset in PUBLIC_SETS else FACT_TOKENS
    model = EvalModel(_settings(options), options.out / WORK / "kept", answer_tokens=tokens)
    try:
        too_long = TooLong(model.plain.count, model.plain.texts.context_tokens)
        if options.dataset in PUBLIC_SETS:
            found = _drawn_from_set(options, too_long)
        else:
            found = _drawn_from_facts(options, facts, cases, too_long)
        others, passed = outside(cases, options.part, found.tested, too_long)
        left_out = (*found.left_out, *passed)
        yield replace(found, known=cases, outside=others, left_out=left_out), model
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
) -> Drawn:
    of_seeds: dict[int, Sequence[Item]] = {}
    left_out = list(facts.left_out)
    for seed in range(options.seeds):
        items, passed = choose(cases, options.part, seed, max(options.sizes), too_long)
        of_seeds[seed] = items
        left_out += passed
    return _checked(Drawn(of_seeds, facts.digest, tuple(dict.fromkeys(left_out))))


def _drawn_from_set(options: argparse.Namespace, too_long: TooLong) -> Drawn:
    name = options.dataset
    reading = SETS[name].read(options.data)
    malformed = (line.partition(": ") for line in reading.malformed)
    left_out = [LeftOut(place, "MalformedLine", why) for place, _, why in malformed]
    of_seeds: dict[int, Sequence[Item]] = {}
    for seed in range(options.seeds):
        items, passed = choose_items(
            name, reading.cases, options.part, seed, max(options.sizes), too_long
        )
        of_seeds[seed] = items
        left_out += passed
    file = options.data / "corrections" / f"{name}.jsonl"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    rows = tuple(background_rows(reading.cases))
    return _checked(Drawn(of_seeds, digest, tuple(dict.fromkeys(left_out)), background=rows))


def _checked(found: Drawn) -> Drawn:
    """The same, if every seed has a case. Raises EmptyDataset."""
    if not all(found.of_seeds.values()):
        counts = Counter(one.kind for one in found.left_out)
        told = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())) or "none"
        raise EmptyDataset(
            f"no case can be tested; left out: {told}. TooLong: the model's context is too short;"
            " another --part has other subjects"
        )
    return found


# Model and store


def _base_name(options: argparse.Namespace) -> str:
    return f"{options.dataset}-{options.base}"


def _settings(options: argparse.Namespace) -> Settings:
    given = {"--model": options.model, "--adapter": options.adapter}
    arguments = [part for name, value in given.items() if value for part in (name, value)]
    folder = options.out / WORK / "stores" / _base_name(options)
    store = options.store or EMBEDDED
    return read_settings([*arguments, "--store", store, "--data", str(folder)])


def setup_of(options: argparse.Namespace, model: EvalModel, digest: str) -> Setup:
    """What has to be the same for figures to be compared."""
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
