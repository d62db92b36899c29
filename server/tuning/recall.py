"""What a user's personal facts answer, and which of them a query is about.

Each personal fact has a scope: the query or sentence that taught it, or its own words where it was
told as a triple. A query is about a fact as far as their keys' inner product is near 1. The keys of
all facts are one matrix for each user, so that asking all of them is one product.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from server.graph.concept import concept_key
from server.graph.edit import Edit, Scope, UnreadableEdit, scopes_by_mark
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple, verbalize
from server.tuning.key_rows import KeyRows, unpacked
from server.tuning.likely import ANY, WordSearch, content_words
from server.tuning.ports import Key, Snapshot
from server.tuning.question import question_of
from server.tuning.subject.spans import MAX_SPAN_WORDS

SHARPNESS = 8.0
"""How fast a scope weight grows with the inner product: e-fold every 1/8."""
_MOST_READ = 1_000
"""Keys that one request reads at most, the newest facts' first, after the model has changed."""
_MOST_CHARACTERS_READ = 40_000
"""And characters of their texts: no model's limit for one request is reached."""
_FACT_BYTES = 2_000
"""About what a fact or a scope takes next to its key, and what a user without any takes."""
_ID_BYTES = 160
"""About what the id of an edit takes."""
_WORD = re.compile(r"[^\s.,;:!?()\"]+")
_MOST_WORDS = 200


@dataclass(frozen=True, slots=True)
class Fact:
    """A personal fact, and the text that its key is read from."""

    triple: Triple
    stamp: Stamp
    text: str
    owned: bool = False
    """Whether its head is the user's own: "my dog"."""
    answered: float = 1.0
    """P(a|q,z) for the query that taught it."""
    names: tuple[str, ...] = ()
    """The keys of its head, or of both ends if it is symmetric, where it was told as a triple. Then
    only queries that name one of them are about it."""
    edit_id: str = ""
    """The edit that made it; empty if that is not known any more."""

    @property
    def told(self) -> str:
        """The words by which it is found without its key."""
        return f"{self.text} {self.triple.head.text}"

    def is_named(self, named: Collection[str]) -> bool:
        """Whether a query that names these concepts may be about it."""
        return not self.names or any(name in named for name in self.names)


@dataclass(frozen=True, slots=True)
class Recalled:
    """A fact that a query may be about, and the inner product of their keys."""

    fact: Fact
    product: float

    @property
    def rank(self) -> tuple[float, Stamp]:
        """Higher is nearer, and then newer."""
        return self.product, self.fact.stamp

    def weight(self, floor: float, answered: float | None = None) -> float:
        """k(q,z). `answered` is P(a|q,z) for this query, where the model was asked for it."""
        weight = scope_weight(self.product, floor)
        return weight if answered is None else weight * answered / self.fact.answered


def scope_weight(product: float, floor: float) -> float:
    """exp(8 (<q,z> - floor)): 1 at the floor, as much as the base has in all."""
    return math.exp(SHARPNESS * (product - floor))


class UserFacts:
    """One user's personal facts at one revision, with the keys that are known.

    `marks` are those of added triples. `scopes` say what they answer, and may hold more. `edit_ids`
    are the edits of their revisions. What is asked for each query does not go through all facts.
    """

    def __init__(
        self,
        at: Snapshot,
        marks: Mapping[Triple, Mark],
        scopes: Mapping[tuple[Triple, Stamp], Scope],
        vocabulary: Vocabulary,
        edit_ids: Mapping[int, str] | None = None,
    ) -> None:
        self.at = at
        self._scopes = scopes
        self._edit_ids = edit_ids or {}
        self._search: WordSearch[Fact] | None = None
        """The facts by their words, once they were searched."""
        self._vocabulary = vocabulary
        self._index({z: self._fact(z, mark) for z, mark in marks.items()}, KeyRows())

    def __len__(self) -> int:
        return len(self._facts)

    @property
    def facts(self) -> Collection[Fact]:
        """All of them."""
        return self._facts.values()

    @property
    def bytes(self) -> int:
        """About what this takes in memory."""
        kept = _FACT_BYTES * (1 + len(self._facts) + len(self._scopes))
        return self._keys.bytes + kept + _ID_BYTES * len(self._edit_ids)

    def named_in(self, query: str) -> set[str]:
        """The names of facts that were told as triples and that stand in the query, word for word.

        They may be words of their own ("Will", "May"), and may end in 's ("McDonald's").
        """
        if not self._names:
            return set()
        words = _WORD.findall(concept_key(query))[-_MOST_WORDS:]
        runs = (
            " ".join(words[first : first + length])
            for first in range(len(words))
            for length in range(1, MAX_SPAN_WORDS + 1)
        )
        found = set()
        for run in runs:
            found |= self._names & {run, run.removesuffix("'s"), run.removesuffix("'")}
        return found

    def to_read(self, named: Collection[str]) -> list[str]:
        """The texts whose keys have to be read before a query can be compared, the newest first.

        `named` holds the keys of the concepts that the query names.
        """
        waiting: dict[str, Stamp] = {}
        for name in (ANY, *named):
            waiting |= self._unread.get(name, {})
        texts: list[str] = []
        room = _MOST_CHARACTERS_READ
        for text in heapq.nlargest(_MOST_READ, waiting, key=waiting.__getitem__):
            room -= len(text)
            if texts and room < 0:
                break
            texts.append(text)
        return texts

    def learn(self, keys: Mapping[str, Key]) -> None:
        """Keep keys that were read. Those of texts that no fact has are left out."""
        for key in keys.values():
            self._require_width(len(key))
        new = [text for text in keys if text in self._by_text and text not in self._keys]
        if new:
            self._add(new, np.stack([keys[text] for text in new]))

    def learn_stored(self, fingerprint: str) -> None:
        """Take the keys that were kept with the edits, as far as they are of this fingerprint."""
        stored = {}
        for text in self._unread.get(ANY, ()):
            for fact in self._by_text[text]:
                scope = self._scopes.get((fact.triple, fact.stamp))
                if scope is not None and scope.key and scope.fingerprint == fingerprint:
                    stored[text] = scope.key
        if stored:
            texts, rows = unpacked(stored)
            if texts and self._keys.width in (0, rows.shape[1]):
                self._add(texts, rows)

    def about(
        self, key: Key, floor: float, named: Collection[str], most: int | None = None
    ) -> list[Recalled]:
        """The facts that a query with this key is about, the nearest and then the newest first.

        At most `most` of them.
        """
        self._require_width(len(key))
        found: list[Recalled] = []
        for text, product in self._keys.near(key, floor):
            if most is not None and len(found) >= most and product < found[most - 1].product:
                break
            facts = (fact for fact in self._by_text[text] if fact.is_named(named))
            found.extend(Recalled(fact, product) for fact in facts)
        found.sort(key=lambda r: r.rank, reverse=True)
        return found[:most]

    def likely(self, query: str, named: Collection[str], few: int, most: int) -> list[Fact]:
        """The facts that are worth a question about this query before its key is known.

        All of them if there are only a `few`. Else at most `most` that share a word with it, those
        with the rarest word and then the newest first.
        """
        if len(self._facts) <= few:
            return [fact for fact in self._facts.values() if fact.is_named(named)]
        found: dict[Fact, None] = {}
        for fact in self._word_search().find(content_words(query), named):
            found[fact] = None
            if len(found) == most:
                break
        return list(found)

    def learn_words(self) -> None:
        """Make ready what `likely` searches, which takes a while for many facts."""
        self._word_search()

    def after(self, edits: Sequence[Edit]) -> UserFacts:
        """The facts after `edits`, oldest first, which follow this revision."""
        at = replace(self.at, revision=edits[-1].revision)
        scopes = {**self._scopes, **scopes_by_mark(edits)}
        edit_ids = {**self._edit_ids, **ids_by_revision(edits)}
        later = UserFacts(at, {}, scopes, self._vocabulary, edit_ids)
        facts = dict(self._facts)
        for edit in edits:
            for change in edit.changes:
                facts.pop(change.triple, None)
                if change.after is not None and change.after.origin is Origin.ADDED:
                    facts[change.triple] = later._fact(change.triple, change.after)
        later._index(facts, self._keys.only({fact.text for fact in facts.values()}))
        if self._search is not None:
            changed = {change.triple for edit in edits for change in edit.changes}
            before = [self._facts[z] for z in changed if z in self._facts]
            now = [facts[z] for z in changed if z in facts]
            later._search = self._search.changed(before, now)
        return later

    def _index(self, facts: Mapping[Triple, Fact], keys: KeyRows) -> None:
        """Take `facts`, by their texts, and note which names ask for keys that are not known."""
        self._facts = facts
        self._keys = keys
        self._by_text: dict[str, list[Fact]] = {}
        self._unread: dict[str, dict[str, Stamp]] = {}
        self._names = {name for fact in facts.values() for name in fact.names}
        for fact in facts.values():
            self._by_text.setdefault(fact.text, []).append(fact)
            if fact.text in keys:
                continue
            for name in _asked_by(fact):
                waiting = self._unread.setdefault(name, {})
                waiting[fact.text] = max(fact.stamp, waiting.get(fact.text, fact.stamp))

    def _word_search(self) -> WordSearch[Fact]:
        if self._search is None:
            self._search = WordSearch(self._facts.values())
        return self._search

    def _add(self, texts: Sequence[str], rows: Key) -> None:
        self._keys.add(texts, rows)
        for text in texts:
            for fact in self._by_text[text]:
                for name in _asked_by(fact):
                    self._unread[name].pop(text, None)

    def _require_width(self, width: int) -> None:
        """Drop the keys that this model cannot have written: an import may bring any."""
        if self._keys.width not in (0, width):
            self._index(self._facts, KeyRows())

    def _fact(self, triple: Triple, mark: Mark) -> Fact:
        scope = self._scopes.get((triple, mark.stamp))
        edit_id = self._edit_ids.get(mark.stamp.revision, "")
        if scope is not None:
            text, answered = question_of(scope.query), scope.answered
            return Fact(triple, mark.stamp, text, scope.owned, answered, edit_id=edit_id)
        text, names = verbalize(triple, self._vocabulary), [triple.head.key]
        if self._vocabulary.is_symmetric(triple.relation):
            names.append(triple.tail.key)
        return Fact(triple, mark.stamp, text, names=tuple(names), edit_id=edit_id)


def ids_by_revision(edits: Iterable[Edit | UnreadableEdit]) -> dict[int, str]:
    """The edits' ids."""
    return {edit.revision: edit.id for edit in edits}


def _asked_by(fact: Fact) -> tuple[str, ...]:
    """The names that ask for a fact's key."""
    return fact.names or (ANY,)
