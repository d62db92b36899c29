"""The personal facts of the users who asked last, kept in memory and followed edit by edit."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from server.errors import UnknownRevision
from server.graph.edit import Edit, scopes_by_mark
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Triple
from server.tuning.ports import GraphStore, Page, Snapshot
from server.tuning.recall import UserFacts, ids_by_revision
from server.tuning.watching import call_watch

_MOST_FOLLOWED = 200
"""Edits that are followed one by one. After more of them, a user's facts are read anew."""
_USERS_AT_ONCE = 500
"""How many users' overlays are looked up in one statement."""


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
            facts = UserFacts(at, marks, scopes, self._vocabulary, ids_by_revision(edits))
            facts.learn_stored(fingerprint)
            facts.learn_words()
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
