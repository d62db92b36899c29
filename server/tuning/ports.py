"""What the method needs from outside: a graph store and a language model. Values in, values out, no
engine named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from server.graph.concept import Concept
from server.graph.edit import Edit, Overlay, UnreadableEdit
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.triple import Mark, Triple

Item = TypeVar("Item")

# The language model


@dataclass(frozen=True, slots=True)
class Branch:
    """A prompt and the continuations whose probability after it is asked for. Each starts with a
    space.

    `field` names the request's field that the prompt is made of, `fields` those of the
    continuations where they come from the request too: what the caller is told to shorten.
    """

    prompt: str
    continuations: tuple[str, ...]
    field: str = "query"
    fields: tuple[str, ...] = ()

    def field_to_shorten(self, number: int) -> str:
        """The field that takes the most of the prompt and its continuation `number`."""
        if self.fields and len(self.continuations[number]) > len(self.prompt):
            return self.fields[number]
        return self.field


@dataclass(frozen=True, slots=True)
class ContinuationLogprob:
    """ln P(continuation | prompt): the sum over its tokens, and how many they are."""

    total: float
    tokens: int


@dataclass(frozen=True, slots=True)
class ModelCost:
    """What a call took: forward passes, tokens that went into the model, tokens generated."""

    forward_passes: int = 0
    tokens_read: int = 0
    tokens_generated: int = 0

    def __add__(self, other: ModelCost) -> ModelCost:
        return ModelCost(
            self.forward_passes + other.forward_passes,
            self.tokens_read + other.tokens_read,
            self.tokens_generated + other.tokens_generated,
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """The log-probabilities of a request's continuations, in its order, and their cost."""

    logprobs: tuple[tuple[ContinuationLogprob, ...], ...]
    cost: ModelCost


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A prompt to be continued until the model ends, a stop text appears, or `max_tokens` are
    written.

    Greedy without a temperature. `seed` makes a draw repeatable. `field` is the request's field to
    shorten when the prompt is too long.
    """

    prompt: str
    max_tokens: int
    stop: tuple[str, ...] = ("\n",)
    temperature: float | None = None
    seed: int | None = None
    field: str = "query"


@dataclass(frozen=True, slots=True)
class Piece:
    """The next characters of a generation, whole ones, and what they cost."""

    text: str
    cost: ModelCost


class LanguageModel(Protocol):
    """A causal language model. It keeps to the call's deadline (`server.tuning.deadline`).

    Errors: TextTooLong when a text does not fit, RequestTooLarge when all of them together ask too
    much, ModelBusy when the queue is full, DeadlinePassed when the work was dropped before it
    reached the model.
    """

    @property
    def fingerprint(self) -> str:
        """Weights, tokenizer, device kind and number format."""
        ...

    @property
    def adapter_fingerprint(self) -> str:
        """The adapter's weights; empty without one."""
        ...

    @property
    def max_scored_triples(self) -> int:
        """How many triples a Personalize should score at most on this device."""
        ...

    async def score(self, branches: Sequence[Branch]) -> Scores:
        """The log-probabilities of all continuations, in float32."""
        ...

    def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        """The continuation of a prompt, piece by piece."""
        ...

    def close(self) -> None:
        """Finish what is under way, and refuse everything after it."""
        ...


# The store


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a user's overlay stands. A commit names the snapshot that it was computed on.

    `overlay_id` is random and new after an erase, so that no request begun before it can bring
    anything back.
    """

    revision: int
    overlay_id: str


@dataclass(frozen=True, slots=True)
class ConceptEntry:
    """What is known of a concept when a query is matched against it, as one user sees it."""

    concept: Concept
    in_base: bool
    retrievable_triples: int
    """Base triples of retrievable relations that start here."""
    personal_triples: int
    """Triples that this user added here."""
    forms_of: tuple[str, ...] = ()
    """Keys of the concepts that this word is an inflected form of."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A write's identity: its id, a hash of its content, and the response that a repetition gets."""

    request_id: str
    content_hash: str
    response: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of a listing: at most `size` items from behind `cursor` (empty: from the start).

    It ends before the item that would take it past `max_bytes` as stored, but holds at least one.
    """

    size: int
    cursor: str = ""
    max_bytes: int = 3 << 20


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """One page of items and the cursor of the next one; empty at the end."""

    items: tuple[Item, ...]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class PersonalFact:
    """A triple that a user added or removed, and by which edit."""

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
class StoreCounts:
    """How much a store holds: concepts and triples of the base, users with edits, and all edits."""

    concepts: int = 0
    triples: int = 0
    users: int = 0
    edits: int = 0


KEPT_RESPONSES = 1_000
"""Responses of requests that changed nothing, a user: the newest are kept."""
KEPT_ERASURES_S = 30 * 24 * 3600
"""How long an erase's request id is known: by a hash of user and id, which names neither."""


class GraphStore(Protocol):
    """A base graph shared by all, and each user's overlay with its history.

    The log of edits is the truth; each commit appends one edit with the next revision.
    `at_revision` is None for the latest, 0 for the base alone. Errors: UnknownRevision, StoreBusy,
    StoreFull, DataLoss.

    A stored edit that cannot be read fails alone: listings show it as an UnreadableEdit and go on;
    what needs its content raises UnreadableRecord.
    """

    @property
    def base_fingerprint(self) -> str:
        """Of the base graph; empty while there is none."""
        ...

    async def snapshot(self, user: str) -> Snapshot:
        """Where the user's overlay stands now."""
        ...

    async def look_up(
        self, user: str, keys: Sequence[str], at_revision: int | None = None
    ) -> Mapping[str, ConceptEntry]:
        """The concepts among `keys` that the base has or that are this user's own."""
        ...

    async def neighborhood(
        self, user: str, head: Concept, limit: int, at_revision: int | None = None
    ) -> Neighborhood:
        """The triples that start at `head` in the user's view; of each relation at most `limit` of
        the base's."""
        ...

    async def page_neighborhood(
        self, user: str, head: Concept, page: Page, at_revision: int
    ) -> Listing[ViewedTriple]:
        """All triples that start at `head`, the user's added and removed ones first (newest first),
        then the base's."""
        ...

    async def find(
        self, user: str, triples: Sequence[Triple]
    ) -> Mapping[Triple, tuple[bool, Mark | None]]:
        """Of each triple whether the base has it, and the mark that the user's overlay puts on it."""
        ...

    async def personal_facts(
        self, user: str, page: Page, at_revision: int
    ) -> Listing[PersonalFact]:
        """All that the user added or removed, newest first."""
        ...

    async def edits(
        self, user: str, page: Page, at_revision: int
    ) -> Listing[Edit | UnreadableEdit]:
        """The user's edits up to a revision, newest first; `page.max_bytes` is applied to their
        stored form."""
        ...

    async def edit(self, user: str, edit_id: str) -> Edit:
        """One edit. Raises UnknownEdit and UnreadableRecord."""
        ...

    async def edits_since(
        self, user: str, revision: int, triples: Sequence[Triple]
    ) -> Sequence[Edit]:
        """The edits after `revision` that changed or relied on one of `triples`, oldest first.

        Raises UnreadableRecord when one of them cannot be read.
        """
        ...

    async def reverts(self, user: str) -> Sequence[tuple[str, str]]:
        """(id of an edit that reverts, id of the edit that it reverted) of all the user's reverts,
        oldest first."""
        ...

    async def history(self, user: str) -> Sequence[Edit | UnreadableEdit]:
        """All of the user's edits, oldest first, of one moment."""
        ...

    async def overlay(self, user: str) -> Overlay:
        """All marks of the user's overlay."""
        ...

    async def response(self, user: str, request_id: str) -> RequestRecord | None:
        """What a request with this id was answered, if it committed, with edits or without."""
        ...

    async def commit(
        self, user: str, snapshot: Snapshot, edits: Sequence[Edit], request: RequestRecord | None
    ) -> None:
        """Append `edits`, whose revisions follow the snapshot's, and the response, all or nothing.

        Without edits, only the response is kept (the newest KEPT_RESPONSES a user), and neither an
        overlay nor a revision comes of it. Raises RevisionMoved when the overlay is not at the
        snapshot any more, OverlayErased when it was erased since, StoreBusy when the request's id
        was taken meanwhile, and Internal, with nothing written, for an edit that could not be read
        back.
        """
        ...

    async def erase(self, user: str, request_id: str | None = None) -> Erased:
        """Remove everything that is kept about the user, on disk too.

        A repeated `request_id` removes nothing and returns what the first erase removed, for
        KEPT_ERASURES_S. Raises StoreBusy when the user is erased but traces are still on disk; a
        repetition finishes the work.
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
        """Return when the store answers; raise what hinders it."""
        ...

    async def close(self) -> None: ...


Normalization = Literal["mean", "sum"]
"""How a continuation's token log-probabilities become one: P = exp(mean) (default) or exp(sum)."""
