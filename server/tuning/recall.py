"""What a user's personal facts answer, and which of them a query is about.

Each personal fact has a scope: the query or sentence that taught it, or its own words where it was
told as a triple. A query is about a fact as far as their keys' inner product is near 1. The keys of
all facts are one matrix for each user, so that asking all of them is one product.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import re
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from server.errors import UnknownRevision
from server.graph.concept import concept_key
from server.graph.edit import Edit, Scope, UnreadableEdit, scopes_by_mark
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple, verbalize
from server.tuning.key_rows import KeyRows, unpacked
from server.tuning.likely import WordSearch, content_words
from server.tuning.ports import GraphStore, Key, Page, Snapshot
from server.tuning.question import question_of
from server.tuning.subject.spans import MAX_SPAN_WORDS
from server.tuning.watching import call_watch

SHARPNESS = 8.0
"""How fast a scope weight grows with the inner product: e-fold every 1/8."""
_MOST_READ = 1_000
"""Keys that one request reads at most, the newest facts' first, after the model has changed."""
_MOST_CHARACTERS_READ = 40_000
"""And characters of their texts: no model's limit for one request is reached."""
_MOST_FOLLOWED = 200
"""Edits that are followed one by one. After more of them, a user's facts are read anew."""
_USERS_AT_ONCE = 500
"""How many users' overlays are looked up in one statement."""
_FACT_BYTES = 2_000
"""About what a fact or a scope takes next to its key, and what a user without any takes."""
_ID_BYTES = 160
"""About what the id of an edit takes."""
_WORD = re.compile(r"[^\s.,;:!?()\"]+")
_MOST_WORDS = 200
_ANY = ""
"""Stands for the names of a fact that any query may be about."""


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

    def is_named(self, named: Collection[str]) -> bool:
        """Whether a query that names these concepts may be about it."""
        return not self.names or any(name in named for name in self.names)


@dataclass(frozen=True, slots=True)
class Recalled:
    """A fact that a query may be about, and the inner product of their keys."""

    fact: Fact
    product: float

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
        self._by_age: tuple[list[Fact], WordSearch] | None = None
        """The facts, the newest first, and their words, once they were searched."""
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
        for name in (_ANY, *named):
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
        for text in self._unread.get(_ANY, ()):
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
        found.sort(key=lambda r: (r.product, r.fact.stamp), reverse=True)
        return found[:most]

    def likely(self, query: str, named: Collection[str], few: int, most: int) -> list[Fact]:
        """The facts that are worth a question about this query before its key is known.

        All of them if there are only a `few`. Else at most `most` that share a word with it, those
        with the rarest word and then the newest first.
        """
        if len(self._facts) <= few:
            return [fact for fact in self._facts.values() if fact.is_named(named)]
        if self._by_age is None:
            newest = sorted(self._facts.values(), key=lambda fact: fact.stamp, reverse=True)
            texts = (f"{fact.text} {fact.triple.head.text}" for fact in newest)
            self._by_age = newest, WordSearch(texts)
        newest, search = self._by_age
        found: dict[Fact, None] = {}
        for number in search.find(content_words(query)):
            if newest[number].is_named(named):
                found[newest[number]] = None
            if len(found) == most:
                break
        return list(found)

    def after(self, edits: Sequence[Edit]) -> UserFacts:
        """The facts after `edits`, oldest first, which follow this revision."""
        at = replace(self.at, revision=edits[-1].revision)
        scopes = {**self._scopes, **scopes_by_mark(edits)}
        edit_ids = {**self._edit_ids, **_ids(edits)}
        later = UserFacts(at, {}, scopes, self._vocabulary, edit_ids)
        facts = dict(self._facts)
        for edit in edits:
            for change in edit.changes:
                facts.pop(change.triple, None)
                if change.after is not None and change.after.origin is Origin.ADDED:
                    facts[change.triple] = later._fact(change.triple, change.after)
        later._index(facts, self._keys.only({fact.text for fact in facts.values()}))
        return later

    def _index(self, facts: Mapping[Triple, Fact], keys: KeyRows) -> None:
        """Take `facts`, by their texts, and note which names ask for keys that are not known."""
        self._facts = facts
        self._keys = keys
        self._by_age = None
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


class Recalls:
    """The facts of the users who asked last, as long as all of them take less than `most_bytes`."""

    def __init__(self, store: GraphStore, vocabulary: Vocabulary, most_bytes: int = 256 << 20):
        self._store = store
        self._vocabulary = vocabulary
        self._most_bytes = most_bytes
        self._users: OrderedDict[str, UserFacts] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self.bytes = 0
        self._forgotten = 0
        """How often anything was forgotten. What was read before must not be kept after it."""

    @property
    def users(self) -> int:
        """How many users' facts are kept."""
        return len(self._users)

    async def of(self, user: str, fingerprint: str, at_revision: int | None) -> UserFacts:
        """The user's facts at a revision; None is the latest.

        `fingerprint` is that of the model's keys. Raises UnknownRevision for a revision that the
        user does not have.
        """
        forgotten = self._forgotten
        snapshot = await self._store.snapshot(user)
        known = self._users.get(user)
        if at_revision is not None and at_revision != snapshot.revision:
            return await self._earlier(user, at_revision, snapshot, fingerprint)
        is_current = known is not None and known.at == snapshot
        call_watch.get().looked_up("facts", int(is_current), int(not is_current))
        if known is None or not is_current:
            known = await self._brought_up(user, known, snapshot, fingerprint)
        if forgotten == self._forgotten:
            self._keep(user, known)
        return known

    def forget(self, user: str) -> None:
        """Drop what is kept of a user."""
        self._forgotten += 1
        self._drop(user)

    async def forget_erased(self) -> Collection[str]:
        """Drop what is kept of users whom any server erased, and return who is still kept."""
        self._forgotten += 1
        kept = list(self._users)
        for start in range(0, len(kept), _USERS_AT_ONCE):
            users = kept[start : start + _USERS_AT_ONCE]
            now = await self._store.snapshots(users)
            for user in users:
                known = self._users.get(user)
                if known and (user not in now or known.at.overlay_id != now[user].overlay_id):
                    self._drop(user)
        return self._users.keys()

    async def _brought_up(
        self, user: str, known: UserFacts | None, snapshot: Snapshot, fingerprint: str
    ) -> UserFacts:
        """The latest facts: those that are known and the edits since, or all of them anew."""
        if snapshot.revision == 0:
            return UserFacts(snapshot, {}, {}, self._vocabulary)
        if known is not None and known.at.overlay_id == snapshot.overlay_id:
            since = await self._edits_since(user, known.at.revision, snapshot.revision)
            if since is not None:
                later = known.after(since)
                later.learn_stored(fingerprint)
                return later
        overlay = await self._store.overlay(user)
        marks = {t: m for t, m in overlay.marks.items() if m.origin is Origin.ADDED}
        at = replace(snapshot, revision=overlay.revision)
        return await self._whole(user, at, marks, fingerprint)

    async def _edits_since(self, user: str, revision: int, latest: int) -> Sequence[Edit] | None:
        """The edits after `revision`, oldest first; None where one of them cannot be had."""
        if not 0 < latest - revision <= _MOST_FOLLOWED:
            return None
        try:
            listing = await self._store.edits(user, Page(latest - revision), latest)
        except UnknownRevision:
            return None  # erased meanwhile
        edits = [edit for edit in reversed(listing.items) if isinstance(edit, Edit)]
        follow = [edit.revision for edit in edits] == list(range(revision + 1, latest + 1))
        return edits if follow else None

    async def _earlier(
        self, user: str, revision: int, snapshot: Snapshot, fingerprint: str
    ) -> UserFacts:
        """The facts at an earlier revision. They are not kept."""
        marks: dict[Triple, Mark] = {}
        page = Page(1_000)
        while True:
            listing = await self._store.personal_facts(user, page, revision)
            marks |= {
                fact.triple: fact.mark for fact in listing.items if fact.mark.origin is Origin.ADDED
            }
            if not listing.next_cursor:
                break
            page = replace(page, cursor=listing.next_cursor)
        if not marks:
            return UserFacts(replace(snapshot, revision=revision), {}, {}, self._vocabulary)
        return await self._whole(user, replace(snapshot, revision=revision), marks, fingerprint)

    async def _whole(
        self, user: str, at: Snapshot, marks: Mapping[Triple, Mark], fingerprint: str
    ) -> UserFacts:
        # Also where no fact is left: a later revert may put one back.
        edits = await self._store.history(user)

        def whole() -> UserFacts:
            scopes = scopes_by_mark(edit for edit in edits if isinstance(edit, Edit))
            facts = UserFacts(at, marks, scopes, self._vocabulary, _ids(edits))
            facts.learn_stored(fingerprint)
            return facts

        return await asyncio.to_thread(whole)

    def _keep(self, user: str, facts: UserFacts) -> None:
        """Keep `facts` as those of the user who asked last."""
        self._drop(user)
        self._users[user] = facts
        self._sizes[user] = facts.bytes
        self.bytes += facts.bytes
        while len(self._users) > 1 and self.bytes > self._most_bytes:
            self._drop(next(iter(self._users)))

    def _drop(self, user: str) -> None:
        self._users.pop(user, None)
        self.bytes -= self._sizes.pop(user, 0)


def _ids(edits: Iterable[Edit | UnreadableEdit]) -> dict[int, str]:
    return {edit.revision: edit.id for edit in edits}


def _asked_by(fact: Fact) -> tuple[str, ...]:
    """The names that ask for a fact's key."""
    return fact.names or (_ANY,)
