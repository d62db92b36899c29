"""A small data folder in the formats of the reference data, with made-up people and places."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PEOPLE = [f"Person Number{n}" for n in range(120)]
CITIES = [f"Town{n}" for n in range(6)]
FAITHS = [f"Faith{n}" for n in range(4)]
PATTERNS = {
    "P19": ["[X] was born in [Y] .", "[X] is originally from [Y] ."],
    "P140": ["The official religion of [X] is [Y] .", "[X] follows the religion of [Y] ."],
    "P495": ["[X] was created in [Y] ."],
}
CONCEPTNET = [
    ("Desires", "yak", "grass"),
    ("AtLocation", "yak", "tibet"),
    ("IsA", "yak", "animal"),
    ("UsedFor", "gong", "make noise"),
    ("SymbolOf", "dove", "peace"),
    ("SymbolOf", "owl", "wisdom"),
    ("SymbolOf", "lion", "courage"),
    ("SymbolOf", "rose", "love"),
    ("HasPrerequisite", "eat breakfast", "wake up"),
    ("HasPrerequisite", "eat lunch", "be hungry"),
    ("HasPrerequisite", "eat dinner", "set the table"),
]


def write_reference_data(folder: Path) -> Path:
    """Write all files below `folder`; returns it."""
    (folder / "pararel" / "patterns").mkdir(parents=True)
    lines = ("\t".join(triple) for triple in CONCEPTNET)
    (folder / "conceptnet100k.tsv").write_text("".join(f"{line}\n" for line in lines))
    objects = {"P19": CITIES, "P140": FAITHS, "P495": CITIES}
    pairs = {relation: _pairs(given) for relation, given in objects.items()}
    (folder / "pararel" / "query_pairs.json").write_text(json.dumps(pairs))
    for relation, patterns in PATTERNS.items():
        rows = (json.dumps({"pattern": pattern}) for pattern in patterns)
        (folder / "pararel" / "patterns" / f"{relation}.jsonl").write_text(
            "".join(f"{row}\n" for row in rows)
        )
    cases = (
        {
            "prompt": prompt.format(person),
            "subject": person,
            "rephrase_prompt": f"It rained all day. {person} comes from",
            "target_new": values[(n + 1) % len(values)],
            "ground_truth": values[n % len(values)],
        }
        for n, person in enumerate(PEOPLE)
        for prompt, values in (
            ("{} was born in", CITIES),
            ("The official religion of {} is", FAITHS),
        )
    )
    (folder / "counterfact.jsonl").write_text("".join(f"{json.dumps(case)}\n" for case in cases))
    (folder / "corrections").mkdir()
    rows = (json.dumps(row) for row in _scope_rows())
    (folder / "corrections" / "pokemqa.jsonl").write_text("".join(f"{row}\n" for row in rows))
    return folder


def _scope_rows() -> Iterator[dict[str, Any]]:
    """PokeMQA's cases: each of the people in two relations that are trained on, and two that are
    not. The birthplace is also asked in ParaRel's words.
    """
    for person in PEOPLE:
        for relation, asked in (
            ("P19", "was born in"),
            ("P26", "is the spouse of"),
            ("P140", "believes in"),
            ("P641", "plays"),
        ):
            yield {
                "relation": relation,
                "subject": person,
                "query": f"What is it that {person} {asked}?",
                "paraphrases": [f"{person} {asked}", f"Say what {person} {asked}."],
                "statement": f"{person} {asked} something.",
            }


def _pairs(objects: list[str]) -> list[list[str]]:
    """Each of the people with one of `objects`, in turn."""
    return [[person, objects[n % len(objects)]] for n, person in enumerate(PEOPLE)]
