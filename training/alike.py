"""Draws texts that ask or state the same thing, next to some that only look alike.

Scope keys (docs/algorithm.md) are learned from them: the states of texts with one meaning come
together, and all others go apart. So a batch should hold the same subject with other relations, the
same relation with other subjects, and near misses.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.graph.relation import Vocabulary
from training.kinds import Kind, filled, filled_head, plain
from training.question import Question
from training.questions import Questions
from training.sources import HELD_OUT_RELATIONS, Sources, in_unseen_half, is_held_out
from training.wordings import restyled

_PLAYS_THE_SPORT = "P641"
"""PokeMQA asks with it for "plays the sport", which is held out."""
_FAMILY = 3
"""How many facts of one subject, or of one relation, stand together in a batch."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Texts that mean the same: queries, and sentences or triples that answer them."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A query, and a text that taught a fact: does the query ask for it?"""

    query: str
    taught: str
    same: bool


class Alike:
    """Draws families of meanings from what may be trained on, reproducibly for a seed."""

    def __init__(self, sources: Sources, vocabulary: Vocabulary, seed: int) -> None:
        self._rng = random.Random(seed)
        self._questions = Questions(sources, vocabulary, self._rng, "nothing")
        self._kinds = self._questions.of_kinds
        self._of_topic: dict[str, list[Kind]] = defaultdict(list)
        self._own = [kind for kind in self._kinds.kinds if not kind.subjects]
        self._with_subject = [kind for kind in self._kinds.kinds if kind.subjects]
        for kind in self._with_subject:
            self._of_topic[kind.topic].append(kind)
        rows = list(_rows(sources))
        self._pokemqa = _by_relation(row for row in rows if _may_be_seen(row))
        self._relations = list(self._pokemqa)
        unseen = (row for row in rows if in_unseen_half(row["subject"]))
        self._kept = {plain(text) for row in unseen for text in _texts(row)}

    def batches(self, texts: int) -> Iterator[list[Meaning]]:
        """Batches of about `texts` texts each, without end."""
        while True:
            batch: list[Meaning] = []
            while sum(len(meaning.texts) for meaning in batch) < texts:
                batch += filter(self._may_be_seen, self.family())
            yield [self._restyled(meaning) for meaning in merged(batch)]

    def pair(self) -> Pair:
        """Two texts of a family, of which as many mean the same as do not."""
        while True:
            family = merged([m for m in self.family() if self._may_be_seen(m)])
            several = [n for n, meaning in enumerate(family) if len(meaning.texts) > 1]
            if not several:
                continue
            at = self._rng.choice(several)
            first, *rest = family[at].texts
            if self._rng.random() < 0.5:
                return self._pair(first, self._rng.choice(rest), same=True)
            others = [n for n in range(len(family)) if n != at]
            if not others:
                continue
            # A near miss comes right after what it is near to
            near = at + 1 if at + 1 in others and self._rng.random() < 0.6 else None
            other = family[near if near is not None else self._rng.choice(others)].texts[0]
            own = self._rng.choice(family[at].texts)
            if own == first and self._rng.random() < 0.3:
                other, own = own, other
            return self._pair(other, own, same=False)

    def _pair(self, query: str, taught: str, *, same: bool) -> Pair:
        return Pair(restyled(query, self._rng), restyled(taught, self._rng), same)

    def family(self) -> list[Meaning]:
        """Meanings that are about the same, or only look alike."""
        draw = self._rng.random()
        families: list[tuple[float, Callable[[], list[Meaning]]]] = [
            (0.40, self.of_the_user),
            (0.58, self.one_subject),
            (0.70, self.one_relation),
            (0.82, self._from_pokemqa),
            (0.91, lambda: self._from_questions(self._questions.everyday)),
            (0.97, lambda: self._from_questions(self._questions.conceptnet)),
            (1.00, lambda: self._from_questions(self._questions.pararel)),
        ]
        return next(make for below, make in families if draw < below)()

    def _may_be_seen(self, meaning: Meaning) -> bool:
        """Other sources ask some of what PokeMQA asks in its unseen half."""
        return self._kept.isdisjoint(map(plain, meaning.texts))

    def _restyled(self, meaning: Meaning) -> Meaning:
        return Meaning(tuple(restyled(text, self._rng) for text in meaning.texts))

    # From the kinds

    def of_the_user(self) -> list[Meaning]:
        """Several questions about the user."""
        chosen = [self._rng.choice(self._own)]
        # Kinds of one topic are each other's near misses
        neighbors = [k for k in self._own if k.topic == chosen[0].topic and k != chosen[0]]
        chosen += self._rng.sample(neighbors, min(_FAMILY - 1, len(neighbors)))
        return [meaning for kind in chosen for meaning in self._meanings(kind, "")]

    def one_subject(self) -> list[Meaning]:
        """Several questions about one subject."""
        kinds = self._of_topic[self._rng.choice(self._with_subject).topic]
        first = self._rng.choice(kinds)
        subject = self._kinds.subject_of(first)
        others = [k for k in kinds if k != first]
        chosen = [first, *self._rng.sample(others, min(_FAMILY - 1, len(others)))]
        return [meaning for kind in chosen for meaning in self._meanings(kind, subject)]

    def one_relation(self) -> list[Meaning]:
        """One question about several subjects."""
        kind = self._rng.choice(self._with_subject)
        subjects = self._kinds.subjects_of(kind)
        chosen = self._rng.sample(subjects, min(_FAMILY, len(subjects)))
        return [meaning for subject in chosen for meaning in self._meanings(kind, subject)]

    def _meanings(self, kind: Kind, subject: str) -> Iterator[Meaning]:
        """The kind's own meaning, and one or two of its near misses."""
        yield Meaning(self._two(kind, subject))
        for near in self._rng.sample(kind.near, self._rng.choice((1, 1, 2))):
            yield Meaning((filled(near, subject),))

    def _two(self, kind: Kind, subject: str) -> tuple[str, ...]:
        first, *rest = self._rng.sample(kind.asked, min(3, len(kind.asked)))
        answer = self._rng.choice(kind.answers)
        draw = self._rng.random()
        if draw < 0.14:
            second = self._rng.choice(kind.statements).replace("{a}", answer)
        elif draw < 0.28:
            second = f"{filled_head(kind, subject)} {kind.relation} {answer}"
        else:
            second = rest[0]
        texts = (first, second, *rest[1:]) if self._rng.random() < 0.3 else (first, second)
        return tuple(filled(text, subject) for text in texts)

    # From the reference data

    def _from_pokemqa(self) -> list[Meaning]:
        """One relation of several subjects."""
        rows = self._pokemqa[self._rng.choice(self._relations)]
        chosen = self._rng.sample(rows, min(_FAMILY, len(rows)))
        return [Meaning(tuple(self._rng.sample(texts, 2))) for texts in chosen]

    def _from_questions(self, draw: Callable[[], Question]) -> list[Meaning]:
        question = draw()
        other = question.paraphrase
        if question.query == other or self._rng.random() < 0.25:
            other = question.fact(question.answer)
        return [Meaning((question.query, other))]


def merged(batch: Sequence[Meaning]) -> list[Meaning]:
    """The batch, with those that share a text made one: the same words mean the same."""
    found: list[Meaning] = []
    for meaning in batch:
        said = set(map(plain, meaning.texts))
        same = [other for other in found if not said.isdisjoint(map(plain, other.texts))]
        texts = (text for one in (*same, meaning) for text in one.texts)
        found = [other for other in found if other not in same]
        found.append(Meaning(tuple({plain(text): text for text in texts}.values())))
    return found


def _rows(sources: Sources) -> Iterator[dict[str, Any]]:
    path = sources.file("corrections/pokemqa.jsonl", "PokeMQA's scope data")
    return map(json.loads, path.read_text(encoding="utf-8").splitlines())


def _texts(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A case's query, paraphrases and statement."""
    texts = (row["query"], *row["paraphrases"], row["statement"])
    return tuple(dict.fromkeys(text for text in texts if text))


def _may_be_seen(row: Mapping[str, Any]) -> bool:
    """Whether a case may be trained on."""
    if in_unseen_half(row["subject"]) or is_held_out(row["subject"]):
        return False
    return row["relation"] not in HELD_OUT_RELATIONS | {_PLAYS_THE_SPORT}


def _by_relation(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[str, ...]]]:
    """The texts of each case that has several."""
    found: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for row in rows:
        if len(texts := _texts(row)) > 1:
            found[row["relation"]].append(texts)
    return found
