"""Reads the reference data that the adapter is trained on, and tells what is held out from it.

The data is read by path; none of it is copied into this project. See NOTICE for names and licences.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from server.errors import StartupError

HERE = Path(__file__).parent
STARTER = HERE.parent / "kgload" / "starter" / "starter.csv"
HELD_OUT_SUBJECTS = 0.08
HELD_OUT_RELATIONS = frozenset(
    {
        "P140",
        "P413",
        "P190",
        "P449",
        "P1303",
        "SymbolOf",
        "has the currency",
        "supports",
        "plays the sport",
    }
)
"""Relations that the adapter never sees. The report calls them "relations never seen"."""

_UNWANTED = re.compile(
    r"sex|masturb|porn|fuck|shit|rape|nigg|penis|vagina|whore|kill|murder|drug|nazi", re.I
)


class DataMissing(StartupError):
    """A file of the reference data is missing."""

    def __init__(self, path: Path, origin: str) -> None:
        super().__init__(
            f"{path} is missing; the public original: {origin}. Pass its folder with --data"
        )


COUNTERFACT_ORIGIN = "Meng et al. 2022 (ROME), counterfact.json"
CONCEPTNET_ORIGIN = "Li et al. 2016, conceptnet train100k"
PAIRS_ORIGIN = "Elazar et al. 2021 (ParaRel), pairs of Dai et al. 2022"
PATTERNS_ORIGIN = "Elazar et al. 2021 (ParaRel), patterns"


def present(path: Path, origin: str) -> Path:
    """`path`, a file or folder of the reference data. Raises DataMissing, which names `origin`."""
    if not path.exists():
        raise DataMissing(path, origin)
    return path


def is_held_out(text: str, fraction: float = HELD_OUT_SUBJECTS) -> bool:
    """Whether `text` is in the part that is kept from training. Its hash decides, not chance."""
    digest = hashlib.sha256(text.casefold().encode()).digest()
    return int.from_bytes(digest[:4], "big") < fraction * 2**32


def in_unseen_half(subject: str) -> bool:
    """Whether the corrections about `subject` are in the half that nothing is tuned on.

    It says nothing about `is_held_out`: some subjects of either half are held out.
    """
    return is_held_out(f"half of the corrections: {subject}", 0.5)


@dataclass(frozen=True, slots=True)
class Pair:
    """A true (subject, object) pair of a ParaRel relation."""

    relation: str
    subject: str
    object: str


@dataclass(frozen=True, slots=True)
class CounterFactCase:
    """A CounterFact case with a known relation, because its prompt is one of ParaRel's patterns."""

    relation: str
    subject: str
    prompt: str
    paraphrase: str
    target_new: str
    target_true: str


@dataclass(frozen=True, slots=True)
class Everyday:
    """One intent of wordings.toml, and the lists that it draws from."""

    relation: str
    subjects: tuple[str, ...]
    values: tuple[str, ...]
    forms: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SubjectList:
    """Subjects of one kind, and the determiners that people use with them."""

    determiners: tuple[str, ...]
    seen: tuple[str, ...]
    unseen: tuple[str, ...]


class Sources:
    """The training data in one folder (`--data`), and the project's own wordings and lists."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with (HERE / "wordings.toml").open("rb") as file:
            self.wordings: dict[str, Any] = tomllib.load(file)
        with (HERE / "lists.toml").open("rb") as file:
            self.lists: dict[str, Any] = tomllib.load(file)

    def file(self, name: str, origin: str) -> Path:
        return present(self.folder / name, origin)

    @cached_property
    def conceptnet(self) -> dict[str, dict[str, list[str]]]:
        """ConceptNet's 100,000 English triples and the starter graph: head -> relation -> tails.

        Only texts of one to five plain words are kept.
        """
        graph: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for line in _lines(self.file("conceptnet100k.tsv", CONCEPTNET_ORIGIN)):
            relation, head, tail = line.split("\t")[:3]
            if _plain(head, 4) and _plain(tail, 5) and not _UNWANTED.search(line):
                graph[head][relation].append(tail)
        for head, relation, tail, _ in starter_triples():
            if tail not in graph[head][relation]:
                graph[head][relation].insert(0, tail)
        return graph

    @cached_property
    def pairs(self) -> dict[str, list[Pair]]:
        """ParaRel's pairs by relation."""
        path = self.file("pararel/query_pairs.json", PAIRS_ORIGIN)
        pairs = {}
        for relation, rows in json.loads(path.read_text()).items():
            if relation in self.wordings["pararel"]:
                pairs[relation] = [Pair(relation, subject, object_) for subject, object_ in rows]
        return pairs

    @cached_property
    def patterns(self) -> dict[str, list[str]]:
        """Cloze forms by ParaRel relation, with {X} for the subject and the object left out."""
        folder = self.file("pararel/patterns", PATTERNS_ORIGIN)
        patterns = {}
        for path in sorted(folder.glob("P*.jsonl")):
            if path.stem in self.wordings["pararel"]:
                forms = (_cloze(json.loads(line)["pattern"]) for line in _lines(path))
                patterns[path.stem] = [form for form in forms if form]
        return patterns

    @cached_property
    def counterfact(self) -> list[CounterFactCase]:
        """The CounterFact cases whose prompt tells their relation."""
        path = self.file("counterfact.jsonl", COUNTERFACT_ORIGIN)
        cases = (_case(json.loads(line), self.relation_of) for line in _lines(path))
        return [case for case in cases if case]

    @cached_property
    def relation_of(self) -> dict[str, str]:
        """The relation of each prompt that tells one, with {X} for the subject."""
        of_patterns = {form: r for r, forms in self.patterns.items() for form in forms}
        return _KNOWN_PROMPTS | of_patterns

    @cached_property
    def everyday(self) -> list[Everyday]:
        """What people ask about their own things, from wordings.toml."""
        return [
            Everyday(
                e["relation"],
                tuple(e["subjects"]),
                tuple(e["values"]),
                tuple(e["forms"]),
                tuple(e["held_out"]),
            )
            for e in self.wordings["everyday"]
        ]

    @cached_property
    def subject_lists(self) -> dict[str, SubjectList]:
        """Subjects by kind, from lists.toml."""
        return {name: _subject_list(entry) for name, entry in self.lists["subjects"].items()}

    @cached_property
    def value_lists(self) -> dict[str, tuple[str, ...]]:
        """Values by kind, from lists.toml."""
        return {name: tuple(_entries(text)) for name, text in self.lists["values"].items()}


def starter_triples() -> Iterator[tuple[str, str, str, float]]:
    """The small graph that ships with the service: head, relation, tail and weight."""
    for line in _lines(STARTER):
        _, relation, head, tail, more = line.split("\t")
        yield _text(head), relation.removeprefix("/r/"), _text(tail), json.loads(more)["weight"]


def _text(uri: str) -> str:
    return uri.removeprefix("/c/en/").replace("_", " ")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _subject_list(entry: Mapping[str, Any]) -> SubjectList:
    """A list in which a star marks the words that are never trained on."""
    words = list(_entries(entry["words"]))
    return SubjectList(
        tuple(entry["determiners"]),
        tuple(word for word in words if not word.startswith("*")),
        tuple(word[1:] for word in words if word.startswith("*")),
    )


def _entries(text: str) -> Iterator[str]:
    return (entry.strip() for entry in text.split(";") if entry.strip())


def _plain(text: str, words: int) -> bool:
    return bool(re.fullmatch(r"[a-z][a-z' -]*", text)) and len(text.split()) <= words


def _cloze(pattern: str) -> str | None:
    if not pattern.rstrip(" .").endswith("[Y]") or "[X]" not in pattern:
        return None
    form = pattern.rstrip(" .").removesuffix("[Y]").strip().replace("[X]", "{X}")
    return form if len(form) > len("{X}") else None


def _case(row: dict[str, Any], relation_of: dict[str, str]) -> CounterFactCase | None:
    form = row["prompt"].replace(row["subject"], "{X}")
    relation = relation_of.get(form)
    if relation is None or row["subject"] not in row["rephrase_prompt"]:
        return None
    return CounterFactCase(
        relation,
        row["subject"],
        row["prompt"],
        row["rephrase_prompt"],
        row["target_new"],
        row["ground_truth"],
    )


_KNOWN_PROMPTS = {
    "{X} speaks the language": "P1412",
    "{X} speaks": "P1412",
    "{X} writes in": "P1412",
    "{X} spoke the language": "P1412",
    "{X} is a native speaker of": "P103",
    "{X}, a native": "P103",
    "{X}, speaker of": "P103",
    "The twin city of {X} is": "P190",
    "What is the twin city of {X}? It is": "P190",
    "What does {X} play? They play": "P136",
    "Which position does {X} play? They play as": "P413",
    "The language used by {X} is": "P1412",
    "In {X}, they understand": "P37",
    "In {X}, an official language is": "P37",
    "In {X}, the language spoken is": "P37",
    "The law in {X} declares the language": "P37",
    "{X} is located in the country of": "P17",
    "{X} worked in the city of": "P937",
    "{X} took up work in": "P937",
    "Where is {X}? It is located in": "P17",
    "The location of {X} is": "P17",
    "{X} originates from": "P19",
    "{X}, from": "P495",
    "{X}'s profession is a": "P106",
    "{X}'s profession is an": "P106",
    "{X}'s occupation is": "P106",
    "The genre played by {X} is": "P136",
    "{X} performs": "P136",
    "{X} is known for performing": "P136",
    "{X} plays the instrument": "P1303",
    "{X} premieres on": "P449",
    "{X} premiered on": "P449",
    "{X}'s life ended in": "P20",
    "The official religion of {X} is": "P140",
    "{X} is affiliated with the religion": "P140",
    "{X}'s owner": "P127",
    "{X} is a professional": "P106",
    "{X}'s expertise is": "P101",
}
