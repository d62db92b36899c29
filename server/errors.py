"""Every failure this service names, drawn as a tree.

KgtError
├── InvalidRequest            what was sent cannot be used; names the field
│   ├── TextTooLong           more tokens than the model's context holds
│   ├── RequestTooLarge       each text fits, but all of them together ask too much of the model
│   ├── SubjectNotFound       the query names nothing a triple could start at
│   ├── EpsilonUnreachable    a loss threshold below the loss's own minimum
│   ├── MalformedMessage      bytes that are not the request's message
│   ├── MalformedEdit         JSON that is not an edit (server.graph.codec)
│   ├── MalformedExport       lines that are not an export (server.tuning.export_format)
│   └── ResponseTooLarge      what would be done could not be told in one message
├── NotFound                  unknown, or another user's
│   ├── UnknownEdit
│   ├── UnknownRevision
│   └── UnknownPageToken
├── Conflict                  valid by itself, but not as things stand
│   ├── RequestIdReused       the id was used for other content
│   ├── RevisionMoved         someone else's write came first
│   ├── OverlayErased         the user was erased while the request ran
│   ├── RevertBlocked         later edits rely on what would be undone
│   └── OverlayNotEmpty       an import without merge into a used overlay
├── Unavailable               the same request may work later
│   ├── StoreBusy
│   ├── StoreFull
│   ├── StoreUnreachable      the database does not answer
│   ├── BaseLoading           the base graph is being loaded
│   ├── ModelBusy             the model's queue is full
│   ├── ServerBusy            too many calls are under way
│   ├── ImportsBusy           too many imports are under way
│   ├── Starting              the model is being loaded
│   ├── ShuttingDown
│   ├── RevisionNotReached    an answer at a revision that is yet to come (server.tuning.answer)
│   ├── DeadlinePassed        dropped before the model was asked
│   └── CallStalled           the caller neither sends nor reads
├── DataLoss                  the store holds what it should not
│   └── UnreadableRecord      one edit's record; names the edit
├── Internal                  a defect in this service, with nothing private in its message
└── StartupError              the server says so and exits before it listens
    ├── InvalidSetting
    ├── InvalidVocabulary
    ├── ModelUnusable
    └── StoreUnusable

Errors are raised where they are found and mapped to a gRPC status once, in
`server.rpc.statuses`. A message tells what to do next and never repeats what a user wrote.
"""

from __future__ import annotations

from collections.abc import Sequence


class KgtError(Exception):
    """Base of all errors of this service. `reason` is stable and machine-readable
    (google.rpc.ErrorInfo)."""

    reason: str = "INTERNAL"


class InvalidRequest(KgtError):
    """A field of the request cannot be used as it is."""

    reason = "INVALID_FIELD"

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class TextTooLong(InvalidRequest):
    """The text needs more tokens than the model reads at once. Reading stops there: `tokens` are
    those found so far."""

    reason = "TEXT_TOO_LONG"

    def __init__(self, field: str, tokens: int, limit: int) -> None:
        super().__init__(
            field,
            f"the text takes at least {tokens} tokens of the model's {limit}; shorten the {field}",
        )
        self.tokens = tokens
        self.limit = limit


class RequestTooLarge(InvalidRequest):
    """Each text fits the model, but the request asks it to read more tokens than one request may."""

    reason = "REQUEST_TOO_LARGE"

    def __init__(self, field: str, tokens: int, limit: int) -> None:
        super().__init__(
            field,
            f"the request has the model read at least {tokens} tokens, and {limit} are allowed;"
            " send shorter texts or fewer of them",
        )
        self.tokens = tokens
        self.limit = limit


class SubjectNotFound(InvalidRequest):
    """The query has no content word that a triple could start at."""

    reason = "SUBJECT_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("query", "names nothing to look up; rephrase it or send the subject")


class EpsilonUnreachable(InvalidRequest):
    """`epsilon` lies below the smallest loss that any graph can reach (Eq. 7 with all retrieval
    mass in H)."""

    reason = "EPSILON_UNREACHABLE"

    def __init__(self, epsilon: float, minimum: float) -> None:
        super().__init__(
            "options.epsilon",
            f"{epsilon:g} is below the loss's minimum here, L_min = {minimum:.6f}",
        )
        self.minimum = minimum


class MalformedMessage(InvalidRequest):
    """The bytes of a message cannot be decoded."""

    reason = "MALFORMED_MESSAGE"

    def __init__(self) -> None:
        super().__init__(
            "message", "cannot be decoded: its texts are UTF-8, its fields those of the contract"
        )


class ResponseTooLarge(InvalidRequest):
    """The response would not fit a message that every client takes. Nothing was written."""

    reason = "RESPONSE_TOO_LARGE"

    def __init__(self, field: str, size: int, limit: int) -> None:
        super().__init__(
            field, f"the response would take {size} bytes of at most {limit}; ask for less at once"
        )
        self.size = size
        self.limit = limit


class NotFound(KgtError):
    """No such thing for this user. Another user's things are not found either."""

    reason = "NOT_FOUND"


class UnknownEdit(NotFound):
    """No edit with this id in this user's history."""

    reason = "UNKNOWN_EDIT"

    def __init__(self) -> None:
        super().__init__("no edit with this id; ListEdits shows the ids")


class UnknownRevision(NotFound):
    """A revision that this user's overlay has not reached."""

    reason = "UNKNOWN_REVISION"

    def __init__(self, asked: int, latest: int) -> None:
        super().__init__(f"revision {asked} does not exist; the latest is {latest}")


class UnknownPageToken(NotFound):
    """A page token of another user, another request or another server process, or from before an
    erase."""

    reason = "UNKNOWN_PAGE_TOKEN"

    def __init__(self) -> None:
        super().__init__("this page token does not belong to this request; start again without one")


class Conflict(KgtError):
    """The request is valid, but not as things stand."""

    reason = "CONFLICT"


class RequestIdReused(Conflict):
    """The request id was used before, for a request with other content."""

    reason = "REQUEST_ID_REUSED"

    def __init__(self) -> None:
        super().__init__("this request_id was used for another request; take a new one")


class RevisionMoved(Conflict):
    """The overlay changed between the reading and the commit."""

    reason = "REVISION_MOVED"

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(
            f"expected revision {expected}, the overlay is at {actual}; read it again and retry"
        )
        self.expected = expected
        self.actual = actual


class OverlayErased(Conflict):
    """The user was erased after the request had begun; it leaves nothing behind."""

    reason = "OVERLAY_ERASED"

    def __init__(self) -> None:
        super().__init__("this user was erased while the request ran; nothing was written")


class RevertBlocked(Conflict):
    """Later edits changed, or relied on, triples that this revert would restore. Names the first
    ones."""

    reason = "REVERT_BLOCKED"

    NAMED = 20
    """How many of the edits are named: messages and metadata have to fit the caller's limits."""

    def __init__(self, edit_ids: Sequence[str]) -> None:
        self.edit_ids = tuple(edit_ids[: self.NAMED])
        """The first of them."""
        self.count = len(edit_ids)
        """All of them."""
        more = f" and {self.count - self.NAMED} more" if self.count > self.NAMED else ""
        super().__init__(
            f"later edits rely on this one: {', '.join(self.edit_ids)}{more}; revert them first, or set skip_conflicts"
        )


class OverlayNotEmpty(Conflict):
    """An import without `merge` into an overlay that has edits."""

    reason = "OVERLAY_NOT_EMPTY"

    def __init__(self) -> None:
        super().__init__("this user has edits already; set merge, or erase the user first")


class Unavailable(KgtError):
    """The same request may work later. `retry_after_s` says when, in seconds, where that is known."""

    reason = "UNAVAILABLE"

    def __init__(self, message: str, retry_after_s: float | None = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreBusy(Unavailable):
    """The store is locked by another process, or cannot be opened now."""

    reason = "STORE_BUSY"


class StoreFull(Unavailable):
    """The disk that holds the store is full."""

    reason = "STORE_FULL"


class StoreUnreachable(Unavailable):
    """The database does not answer, or the outcome of a write is not known: repeat it with the same
    request_id."""

    reason = "STORE_UNREACHABLE"


class BaseLoading(Unavailable):
    """The base graph is being loaded; nothing can be read or written meanwhile."""

    reason = "BASE_LOADING"

    def __init__(self) -> None:
        super().__init__("the base graph is being loaded; try again in a while", retry_after_s=10.0)


class ModelBusy(Unavailable):
    """The model's queue is full."""

    reason = "MODEL_BUSY"


class ServerBusy(Unavailable):
    """As many calls are under way as the server takes on."""

    reason = "SERVER_BUSY"

    def __init__(self) -> None:
        super().__init__(
            "the server has as many calls under way as it takes on; try again in a moment"
        )


class ImportsBusy(Unavailable):
    """As many imports are under way, of this user or of all, as the server takes on."""

    reason = "IMPORTS_BUSY"

    def __init__(self) -> None:
        super().__init__(
            "the server has as many imports under way as it takes on; try again", retry_after_s=5.0
        )


class Starting(Unavailable):
    """The server listens, so that probes and a second server can tell, but has not loaded its store
    or model yet."""

    reason = "STARTING"

    def __init__(self) -> None:
        super().__init__(
            "the server is starting and loads its model; try again in a moment", retry_after_s=2.0
        )


class ShuttingDown(Unavailable):
    """The server is stopping and takes no new work."""

    reason = "SHUTTING_DOWN"


class DeadlinePassed(Unavailable):
    """The caller's deadline passed, or the caller left, before the model was asked."""

    reason = "DEADLINE_PASSED"


class CallStalled(Unavailable):
    """The caller neither sent the next message nor took the last one in time."""

    reason = "CALL_STALLED"

    def __init__(self, waited_s: float) -> None:
        super().__init__(f"nothing came from the caller for {waited_s:g} s", retry_after_s=None)


class DataLoss(KgtError):
    """The store holds what it should not: it was damaged from outside."""

    reason = "STORE_CORRUPT"


class UnreadableRecord(DataLoss):
    """The stored record of one edit cannot be read. Other edits are not affected."""

    def __init__(self, edit_id: str, revision: int) -> None:
        super().__init__(
            f"the record of edit {edit_id} (revision {revision}) is damaged; "
            "stop the server and run `python -m server check`"
        )
        self.edit_id = edit_id
        self.revision = revision


class Internal(KgtError):
    """A defect in this service."""


class StartupError(KgtError):
    """The server cannot start; the message says what to do."""

    reason = "STARTUP"


class InvalidSetting(StartupError):
    """A setting has a value that cannot be used."""


class InvalidVocabulary(StartupError):
    """The vocabulary file contradicts itself."""


class ModelUnusable(StartupError):
    """The model is missing, is not a causal language model, or its adapter does not fit."""


class StoreUnusable(StartupError):
    """The store cannot be opened: newer than this code, damaged, or held by another server."""
