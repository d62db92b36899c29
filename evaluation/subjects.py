"""Measures how often the subject of a query is found, on concepts that people named.

There are two sets, over one base graph of ConceptNet's 100,000 triples: the graph's own heads, each
asked about in two wordings of training/wordings.toml, and CounterFact's prompts and paraphrases,
whose subjects are labelled. A hit is exactly the labelled concept, except for a leading article or
possessive. A correction needs both wordings to lead to the same concept, so that is counted too.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.corrections.reading import json_lines
from kgload.small import BaseTriple, build_base
from server.errors import SubjectNotFound
from server.graph.concept import concept_key, strip_determiners
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.ports import GraphStore
from server.tuning.subject.choice import find_subject
from server.tuning.subject.words import query_words
from training.sources import CONCEPTNET_ORIGIN, COUNTERFACT_ORIGIN, HERE, present
from training.wordings import fill

CONCEPTNET = "conceptnet100k.tsv"
COUNTERFACT = "counterfact.jsonl"
HEADS = "ConceptNet's heads"
CLEAN_HEADS = "... without edges that are function words"
SEED = 11
_DETERMINERS = ("a", "the", "my", "our", "")
_COMMON_VERB = 3
"""A word counts as a verb if so many heads of relations between actions start with it."""
_MISSES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A concept, and two ways to ask about it."""

    concept: str
    query: str
    paraphrase: str


@dataclass(slots=True)
class Found:
    """How often one set's subjects were found."""

    cases: int = 0
    by_query: int = 0
    by_paraphrase: int = 0
    same: int = 0
    """How often both wordings lead to the same concept, labelled or not."""
    misses: list[tuple[str, str, str]] = field(default_factory=list)
    """(query, labelled, found)."""

    def rates(self) -> dict[str, float | int]:
        """The counts as shares of the cases."""
        n = max(self.cases, 1)
        return {
            "cases": self.cases,
            "query": round(self.by_query / n, 4),
            "paraphrase": round(self.by_paraphrase / n, 4),
            "same_concept": round(self.same / n, 4),
        }


# The sets


def read_triples(folder: Path) -> list[tuple[str, str, str]]:
    """Read (relation, head, tail) of ConceptNet's 100,000 triples. Raises DataMissing."""
    path = present(folder / CONCEPTNET, CONCEPTNET_ORIGIN)
    rows = (
        line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
    )
    return [(row[0], row[1], row[2]) for row in rows]


def ask_about_heads(triples: Iterable[tuple[str, str, str]], rng: random.Random) -> Iterator[Asked]:
    """Ask about each head once, in two wordings of one of its relations."""
    with (HERE / "wordings.toml").open("rb") as file:
        wordings: Mapping[str, Mapping[str, Any]] = tomllib.load(file)["conceptnet"]
    relations: dict[str, list[str]] = defaultdict(list)
    for relation, head, _ in triples:
        if relation in wordings:
            relations[head].append(relation)
    verbs = _verbs(relations, wordings)
    for head, named in relations.items():
        forms, is_noun = _forms(wordings[rng.choice(named)], head, verbs)
        query, paraphrase = rng.sample(forms, 2)
        texts = [fill(form, head, _said(head, is_noun, rng)) for form in (query, paraphrase)]
        yield Asked(head, *texts)


def _verbs(
    relations: Mapping[str, Sequence[str]], wordings: Mapping[str, Mapping[str, Any]]
) -> frozenset[str]:
    """Words that actions start with, judging by the relations that only actions have."""
    first: Counter[str] = Counter()
    for head, named in relations.items():
        first[head.split()[0]] += sum("nouns" not in wordings[relation] for relation in named)
    return frozenset(word for word, count in first.items() if count >= _COMMON_VERB)


def _forms(wording: Mapping[str, Any], head: str, verbs: frozenset[str]) -> tuple[list[str], bool]:
    """The forms to ask with, and whether they name the head as a thing."""
    is_action = "nouns" not in wording or ("verbs" in wording and head.split()[0] in verbs)
    forms = [*wording["verbs" if is_action else "nouns"], *wording.get("held_out", ())]
    if is_action:
        forms = [form for form in forms if "{S}" not in form]
    return forms, not is_action


def _said(head: str, is_noun: bool, rng: random.Random) -> str:
    if not is_noun or head != strip_determiners(head):
        return head
    determiner = rng.choice(_DETERMINERS)
    if determiner == "a" and head[:1] in "aeiou":
        determiner = "an"
    return f"{determiner} {head}".strip()


def read_counterfact(folder: Path) -> list[Asked]:
    """Read CounterFact's subjects with prompt and first paraphrase.

    The file may have CounterFact's public form or the model editors'.
    """
    path = present(folder / COUNTERFACT, COUNTERFACT_ORIGIN)
    return [_counterfact_case(json.loads(line)) for line in json_lines(path) if line]


def _counterfact_case(row: Mapping[str, Any]) -> Asked:
    if "requested_rewrite" in row:
        rewrite = row["requested_rewrite"]
        subject = rewrite["subject"]
        return Asked(
            subject, rewrite["prompt"].replace("{}", subject), row["paraphrase_prompts"][0]
        )
    return Asked(row["subject"], row["prompt"], row["rephrase_prompt"])


# The measurement


def measure(data: Path, limit: int | None = None) -> dict[str, Found]:
    """What is found of each set, of at most `limit` cases drawn from it. Raises DataMissing."""
    rng = random.Random(SEED)
    triples = read_triples(data)
    sets = {HEADS: list(ask_about_heads(triples, rng)), "CounterFact": read_counterfact(data)}
    if limit is not None:
        sets = {name: rng.sample(cases, min(limit, len(cases))) for name, cases in sets.items()}
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Vocabulary.built_in()
        base = (BaseTriple(Triple.of(h, vocabulary.canonical_name(r), t)) for r, h, t in triples)
        build_base(Path(folder), base, vocabulary)
        return asyncio.run(_found(SqliteStore(folder, vocabulary), sets))


async def _found(store: SqliteStore, sets: Mapping[str, Sequence[Asked]]) -> dict[str, Found]:
    try:
        return {
            name: await _found_of(store, cases) for name, cases in _with_clean_heads(sets).items()
        }
    finally:
        await store.close()


def _with_clean_heads(sets: Mapping[str, Sequence[Asked]]) -> dict[str, Sequence[Asked]]:
    """The sets, and one more with only the heads that people would recognise.

    Many heads are cut out of the middle of sentences.
    """
    return {
        HEADS: sets[HEADS],
        CLEAN_HEADS: [a for a in sets[HEADS] if _is_clean(a.concept)],
        **sets,
    }


def _is_clean(head: str) -> bool:
    words = query_words(head)
    return bool(words) and not words[0].is_function and not words[-1].is_function


async def _found_of(store: GraphStore, cases: Sequence[Asked]) -> Found:
    found = Found(len(cases))
    for case in cases:
        wanted = strip_determiners(concept_key(case.concept))
        by_query, by_paraphrase = [await _subject(store, q) for q in (case.query, case.paraphrase)]
        found.by_query += by_query == wanted
        found.by_paraphrase += by_paraphrase == wanted
        found.same += by_query == by_paraphrase
        for query, key in ((case.query, by_query), (case.paraphrase, by_paraphrase)):
            if key != wanted:
                found.misses.append((query, wanted, key))
    return found


async def _subject(store: GraphStore, query: str) -> str:
    try:
        return strip_determiners((await find_subject(store, "evaluation", query)).match.concept.key)
    except SubjectNotFound:
        return ""


# What is shown


def table(results: Mapping[str, Found]) -> str:
    """The rates, for people."""
    lines = [f"{'':42} {'cases':>7} {'query':>8} {'paraphrase':>11} {'same concept':>13}"]
    for name, found in results.items():
        r = found.rates()
        lines.append(
            f"{name:42} {r['cases']:7} {r['query']:8.1%} {r['paraphrase']:11.1%}"
            f" {r['same_concept']:13.1%}"
        )
    return "\n".join(lines)


def misses(results: Mapping[str, Found]) -> str:
    """Some of the misses, to learn from."""
    rng = random.Random(SEED)
    lines = []
    for name, found in results.items():
        lines.append(f"\n{name}: some of the misses (query; labelled; found)")
        shown = rng.sample(found.misses, min(_MISSES_SHOWN, len(found.misses)))
        lines.extend(f"  {query!r}; {wanted!r}; {key!r}" for query, wanted, key in shown)
    return "\n".join(lines)


def as_json(results: Mapping[str, Found]) -> str:
    """The rates, for programs, in one line."""
    return json.dumps(
        {
            "measurement": "subjects",
            "sets": {name: found.rates() for name, found in results.items()},
        }
    )
