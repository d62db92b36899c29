"""Sets of a case or two, asked of a real server over a small graph and a model of known answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.corrections import counting
from evaluation.corrections.cases import DEVELOPMENT, Case
from evaluation.corrections.measuring import Measured, measure
from evaluation.corrections.reading import Reading
from evaluation.corrections.selection import Selection, by_user, chosen
from evaluation.corrections.serving import served
from evaluation.corrections.sets import SETS
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.settings import Settings
from testbed.bases import BaseTriple, build_base
from tests.fixed_model import FixedModel

VOCABULARY = Vocabulary.built_in()
BASE = [
    BaseTriple(Triple.of(*fact))
    for fact in (
        ("dog", "Desires", "meat"),
        ("dog", "AtLocation", "kennel"),
        ("cat", "Desires", "fish"),
        ("whale", "CapableOf", "sing"),
    )
]


@dataclass(frozen=True, slots=True)
class Won:
    """What a run won: (won, asked) by kind of question."""

    kinds: dict[str, tuple[int, int]]
    measured: Measured
    model: FixedModel


def write(folder: Path, name: str, rows: Iterable[Mapping[str, Any] | str]) -> Path:
    """A folder of reference data in which the set `name` has these lines."""
    (folder / "corrections").mkdir(exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "corrections" / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


async def won(
    folder: Path, name: str, reading: Reading, phrases: Mapping[str, str], **selected: Any
) -> Won:
    """Ask the cases, of both halves, of a server whose model knows the queries' relations."""
    every = replace(reading, cases=tuple(replace(c, half=DEVELOPMENT) for c in reading.cases))
    cases = chosen(SETS[name], every, Selection(DEVELOPMENT, **selected))
    return await play(folder, by_user(SETS[name], cases), phrases)


async def play(folder: Path, users: Sequence[Sequence[Case]], phrases: Mapping[str, str]) -> Won:
    """Play the cases of each user."""
    model = FixedModel(phrases)
    build_base(folder / "store", BASE, VOCABULARY)
    async with served(Settings(), folder / "store", model) as address:
        measured = await measure("a set", users, address)
    tallies = counting.tallies(measured.results)
    return Won({kind: (t.won, t.asked) for kind, t in tallies.items()}, measured, model)
