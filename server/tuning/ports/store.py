"""The port to a graph store: a base graph for all, and each user's overlay with its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from server.graph.concept import Concept
from server.graph.edit import Edit, Overlay, UnreadableEdit
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.triple import Mark, Triple

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a user's overlay stands. A commit names the snapshot that it is based on.

    `overlay_id` is random and changes with an erase, so that no request begun before the erase can
    bring anything back.
    """

    revision: int
    overlay_id: str


@dataclass(frozen=True, slots=True)
class ConceptEntry:
    """What is known of a concept that a query may be about, as one user sees it."""

    concept: Concept
    in_base: bool
    retrievable_triples: int
    """The base triples of retrievable relations that start here."""
    personal_triples: int
    """The triples that this user added here."""
    forms_of: tuple[str, ...] = ()
    """The keys of the concepts that this word is an inflected form of."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A write's id, a hash of its content, and the response that a repetition gets."""

    request_id: str
    content_hash: str
    response: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Which piece of a listing to read: at most `size` items after `cursor`.

    An empty cursor is the start. The page ends before the item with which its stored form would
    exceed `max_bytes`, but it holds at least one item.
    """

    size: int
    cursor: str = ""
    max_bytes: int = 3 << 20


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """One page of items, and the cursor of the next page; empty at the end."""

    items: tuple[Item, ...]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class PersonalFact:
    """A triple that a user added or removed, and the edit that did it."""

    triple: Triple
    mark: Mark
    edit_id: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erase removed."""

    edits: int = 0
    added_triples: int = 0
    removed_triples: int = 0
    personal_concepts: int = 0
    stored_responses: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """How much is kept of a user: the facts added and removed, and the bytes of all edits."""

    facts: int = 0
    history_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """How much a store holds: concepts and triples of the base, users with edits, and all edits."""

    concepts: int = 0
    triples: int = 0
    users: int = 0
    edits: int = 0


@dataclass(frozen=True, slots=True)
class OverlayOf:
    """A user who has edits, and where their overlay stands."""

    user: str
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is kept of an erase for the sake of older copies: which overlay was erased, and when.

    The id is random, so that it reveals nothing. Only a copy that still has the overlay says whose
    it was.
    """

    overlay_id: str
    time_ms: int


KEPT_RESPONSES = 1_000
"""How many responses to requests that changed nothing are kept for each user: the newest."""
KEPT_ERASURES_S = 30 * 24 * 3600
"""How long an erase's request id is known. What is kept is a hash that names neither user nor
id."""


class GraphStore(Protocol):
    """A base graph shared by all, and each user's overlay with its history.

    The log of edits is the truth; each commit appends one edit with the next revision.
    `at_revision` is None for the latest, 0 for only the base. Errors: UnknownRevision, StoreBusy,
    StoreFull, DataLoss.

    A stored edit that cannot be read does no harm to others. Listings show it as an UnreadableEdit
    and go on; whatever needs its content raises UnreadableRecord.
    """

    @property
    def base_fingerprint(self) -> str:
        """A hash of the base graph's content; empty if there is no base."""
        ...

    @property
    def page_key(self) -> bytes:
        """32 random bytes that all servers over this graph share, and nobody else knows."""
        ...

    async def snapshot(self, user: str) -> Snapshot:
        """Where the user's overlay stands now, whichever server wrote last.

        What this store reads afterwards is not older than that.
        """
        ...

    async def snapshots(self, users: Sequence[str]) -> Mapping[str, Snapshot]:
        """Where each user's overlay stands now, without those whose record is damaged."""
        ...

    async def erasures(self) -> int:
        """How many erases there were, of all users and by all servers."""
        ...

    async def look_up(
        self, user: str, keys: Sequence[str], at_revision: int | None = None
    ) -> Mapping[str, ConceptEntry]:
        """The concepts among `keys` that the base has or that are this user's own."""
        ...

    async def neighborhood(
        self, user: str, head: Concept, limit: int, at_revision: int | None = None
    ) -> Neighborhood:
        """The triples that start at `head` in the user's view.

        At most `limit` of the base's triples are read for each relation.
        """
        ...

    async def page_neighborhood(
        self, user: str, head: Concept, page: Page, at_revision: int
    ) -> Listing[ViewedTriple]:
        """All triples that start at `head`.

        Those that the user added or removed come first, newest first, then the base's.
        """
        ...

    async def find(
        self, user: str, triples: Sequence[Triple]
    ) -> Mapping[Triple, tuple[bool, Mark | None]]:
        """Whether the base has each triple, and the mark that the user's overlay puts on it."""
        ...

    async def personal_facts(
        self, user: str, page: Page, at_revision: int
    ) -> Listing[PersonalFact]:
        """Everything that the user added or removed, newest first."""
        ...

    async def edits(
        self, user: str, page: Page, at_revision: int
    ) -> Listing[Edit | UnreadableEdit]:
        """The user's edits up to a revision, newest first."""
        ...

    async def edit(self, user: str, edit_id: str) -> Edit:
        """One edit. Raises UnknownEdit and UnreadableRecord."""
        ...

    async def edits_since(
        self, user: str, revision: int, triples: Sequence[Triple]
    ) -> Sequence[Edit]:
        """The edits after `revision` that changed or relied on one of `triples`, oldest first.

        Raises UnreadableRecord if one of them cannot be read.
        """
        ...

    async def reverts(self, user: str) -> Sequence[tuple[str, str]]:
        """All the user's reverts, oldest first: (id of the revert, id of the edit it reverted)."""
        ...

    async def history(self, user: str) -> Sequence[Edit | UnreadableEdit]:
        """All of the user's edits at one moment, oldest first."""
        ...

    async def overlay(self, user: str) -> Overlay:
        """All marks of the user's overlay."""
        ...

    async def usage(self, user: str) -> Usage:
        """How much is kept of the user."""
        ...

    async def response(self, user: str, request_id: str) -> RequestRecord | None:
        """The response to the request with this id, if it was committed."""
        ...

    async def commit(
        self,
        user: str,
        snapshot: Snapshot,
        edits: Sequence[Edit],
        request: RequestRecord | None,
        overlay_id: str | None = None,
    ) -> None:
        """Append `edits`, whose revisions follow the snapshot's, and the response: all or nothing.

        An overlay's first edits give it a random id, or `overlay_id`. Without edits, only the
        response is kept (the newest KEPT_RESPONSES for each user); that makes neither an overlay
        nor a revision. Raises RevisionMoved if the overlay is no longer at the snapshot,
        OverlayErased if it was erased since, StoreBusy if another request with this id was
        committed meanwhile, and Internal for an edit that could not be read back. Then nothing is
        written.
        """
        ...

    async def erase(self, user: str, request_id: str | None = None) -> Erased:
        """Remove everything that is kept about the user, on disk too.

        For KEPT_ERASURES_S, a repeated `request_id` removes nothing and returns what the first
        erase removed. Raises StoreBusy if the user is erased but traces are still on disk; a
        repetition finishes the work.
        """
        ...

    async def overlays(self, page: Page) -> Listing[OverlayOf]:
        """All users who have edits, in an order that stays the same."""
        ...

    async def tombstones(self, page: Page) -> Listing[Tombstone]:
        """The tombstones of all erases, in an order that stays the same."""
        ...

    async def bury(self, tombstones: Sequence[Tombstone]) -> int:
        """Keep `tombstones`, and erase the users whose overlays have one.

        A user without edits has no overlay, so an erase of theirs leaves no tombstone. The kept
        responses of all such users are removed too, erased or not, even without any `tombstones`: a
        repeated request id of theirs is then computed anew. Returns how many overlays were erased.
        Raises StoreBusy as `erase` does.
        """
        ...

    async def check(self) -> list[str]:
        """Rebuild every user's overlay from the log of edits and compare.

        Returns what differs, in a sentence each, and names users by their revision only.
        """
        ...

    async def counts(self) -> StoreCounts:
        """How much the store holds."""
        ...

    async def health(self) -> None:
        """Return if the store can serve requests. Raises the reason if it cannot."""
        ...

    async def close(self) -> None:
        """Finish the work under way and let go of files and connections."""
        ...
