"""ParaRel: true (subject, object) pairs of 34 Wikidata relations, and patterns that ask for them.

CounterFactExtension is made of it. For both sets it also tells which relation a case is of where
the file does not, and which other relations of a case's subject are known.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from training.sources import PAIRS_ORIGIN, PATTERNS_ORIGIN, present

LABELS_ORIGIN = "LAMA, relations.jsonl"


@dataclass(frozen=True, slots=True)
class Known:
    """One true fact: `object` answers what `relation` asks about a subject."""

    relation: str
    object: str


class ParaRel:
    """The files in the folder `pararel` of the reference data. Raises DataMissing."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "pararel"

    @cached_property
    def pairs(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """(subject, object) by relation, the relations in string order."""
        path = self._file("query_pairs.json", PAIRS_ORIGIN)
        found = json.loads(path.read_text(encoding="utf-8"))
        return {relation: list(map(_pair, found[relation])) for relation in sorted(found)}

    @cached_property
    def objects(self) -> Mapping[str, Sequence[str]]:
        """Each relation's distinct objects, in string order."""
        objects = {}
        for relation, pairs in self.pairs.items():
            objects[relation] = sorted({object_ for _, object_ in pairs})
        return objects

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """The relations' English labels, such as "native language"."""
        path = self._file("relations.jsonl", LABELS_ORIGIN)
        rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        return {row["relation"]: row["label"] for row in rows}

    @cached_property
    def forms(self) -> Mapping[str, Sequence[str]]:
        """The patterns that end in the object, by relation, as prompts with {} for the subject."""
        folder = self._file("patterns", PATTERNS_ORIGIN)
        forms = {}
        for path in sorted(folder.glob("P*.jsonl")):
            lines = path.read_text(encoding="utf-8").splitlines()
            patterns = (_form(json.loads(line)["pattern"]) for line in lines)
            forms[path.stem] = [form for form in dict.fromkeys(patterns) if form]
        return forms

    @cached_property
    def about(self) -> Mapping[str, Sequence[Known]]:
        """All that is known about each subject."""
        about: dict[str, list[Known]] = defaultdict(list)
        for relation, pairs in self.pairs.items():
            for subject, object_ in pairs:
                about[subject].append(Known(relation, object_))
        return about

    def _file(self, name: str, origin: str) -> Path:
        return present(self._folder / name, origin)


def _pair(row: Sequence[str]) -> tuple[str, str]:
    subject, object_ = row
    return subject, object_


def _form(pattern: str) -> str:
    """The prompt that leaves the object out; empty where the pattern does not end in it."""
    text = pattern.strip().rstrip(" .")
    form = text.removesuffix("[Y]").strip()
    if form == text or form.count("[X]") != 1 or form == "[X]":
        return ""
    return form.replace("[X]", "{}")
