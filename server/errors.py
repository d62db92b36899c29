"""Every failure that this service and its tools name, drawn as a tree.

KgtError
├── InvalidRequest            what was sent cannot be used; names the field
│   ├── TextTooLong           more tokens than the model's context holds
│   ├── RequestTooLarge       each text fits, but together they ask too much of the model
│   ├── SubjectNotFound       the query names nothing that a triple could start at
│   ├── EpsilonUnreachable    a loss threshold below the smallest loss there is
│   ├── MalformedMessage      bytes that are not the request's message (server.rpc.errors)
│   ├── MalformedEdit         JSON that is not an edit (server.graph.codec)
│   ├── MalformedExport       lines that are not an export (server.tuning.export_format)
│   └── ResponseTooLarge      the response would not fit one message (server.rpc.errors)
├── NotAuthenticated          nothing proves who calls
│   ├── TokenMissing          (server.rpc.errors)
│   ├── TokenInvalid          malformed, wrongly signed, or for another service (server.rpc.errors)
│   └── TokenExpired          (server.rpc.errors)
├── NotPermitted              who calls may not do this
│   ├── NotThisUser           another user's (server.rpc.errors)
│   └── OperatorsOnly         details of the server (server.rpc.errors)
├── NotFound                  unknown, or another user's
│   ├── UnknownEdit
│   ├── UnknownRevision
│   └── UnknownPageToken
├── Conflict                  valid by itself, but not as things stand
│   ├── RequestIdReused       the id was used for other content
│   ├── RevisionMoved         someone else's write came first
│   ├── OverlayErased         the user was erased while the request ran
│   ├── RevertBlocked         later edits rely on what would be undone
│   └── OverlayNotEmpty       an import without merge into an overlay that has edits
├── Unavailable               the same request may work later
│   ├── StoreBusy
│   ├── StoreFull
│   ├── StoreUnreachable      the database does not answer
│   ├── BaseLoading           the base graph is being loaded
│   ├── ModelBusy             the model's queue is full
│   │   └── Overloaded        more waits than fits the call's deadline (server.lm.pace)
│   ├── LimitReached          a limit that keeps room for others; names it
│   │   ├── OverlayFull       as many facts as are kept of a user (server.writing.quotas)
│   │   ├── HistoryFull       as many edits as are kept of a user (server.writing.quotas)
│   │   ├── RateExceeded      too many calls in a time (server.rpc.errors)
│   │   ├── UserBusy          too many calls of a user are under way (server.rpc.errors)
│   │   ├── ServerBusy        too many calls are under way (server.rpc.errors)
│   │   ├── ExportsBusy       too many exports are under way (server.rpc.errors)
│   │   └── ImportsBusy       too many imports are under way (server.rpc.errors)
│   ├── KeysUnavailable       the keys of tokens cannot be fetched (server.rpc.errors)
│   ├── ModelUnreachable      the server that has the model does not answer as it should
│   ├── Starting              the model is being loaded (server.rpc.errors)
│   ├── ShuttingDown
│   ├── RevisionNotReached    an answer at a revision to come (server.tuning.answer)
│   ├── DeadlinePassed        dropped before the model was asked
│   └── CallStalled           the caller neither sends nor reads (server.rpc.errors)
├── DataLoss                  the store holds something that it should not
│   └── UnreadableRecord      the record of one edit; names the edit
├── Internal                  a defect in this service; the message holds nothing private
└── StartupError              a server or a tool that cannot start says so and exits
    ├── InvalidSetting
    ├── InvalidVocabulary
    ├── ModelUnusable
    ├── StoreUnusable
    ├── CopyRefused           a backup or an export that cannot be made or taken back as asked
    ├── LoadError             a load that cannot be done as asked (kgload.errors)
    │   ├── WrongFile         the file is not what the command reads (kgload.errors)
    │   ├── TooManyErrors     more malformed lines than allowed (kgload.errors)
    │   ├── OtherBase         the store holds another base graph (kgload.errors)
    │   ├── DiskFull          the load does not fit the disk (kgload.errors)
    │   └── Miscounted        a defect in the loader: lines are missing (kgload.errors)
    └── DataMissing           data for training was not fetched yet (training.sources)

Errors are raised where the failure is found and mapped to a gRPC status once, in
`server.rpc.statuses`. A message says what to do next and never repeats what a user wrote.

Eleven more exceptions are caught by the modules that expect them and never reach a caller:
MissingProbabilities, UnsupportedAttention, CacheUnwritable, CannotScrub, NotJson, NoTriple,
StatementRefused, UnusableKeys, UnusableRule, RequestRefused, UnusableReply.
"""

from __future__ import annotations

from collections.abc import Sequence


class KgtError(Exception):
    """The base of all errors. `reason` is stable and machine-readable (google.rpc.ErrorInfo)."""

    reason: str = "INTERNAL"


class InvalidRequest(KgtError):
    """A field of the request cannot be used as it is."""

    reason = "INVALID_FIELD"

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class TextTooLong(InvalidRequest):
    """The text needs more tokens than the model reads at once. `tokens` is a lower bound."""

    reason = "TEXT_TOO_LONG"

    def __init__(self, field: str, tokens: int, limit: int) -> None:
        super().__init__(
            field,
            f"the text takes at least {tokens} tokens of the model's {limit}; shorten the {field}",
        )
        self.tokens = tokens
        self.limit = limit


class RequestTooLarge(InvalidRequest):
    """The texts fit the model one by one, but together they exceed what one request may ask."""

    reason = "REQUEST_TOO_LARGE"

    def __init__(self, field: str, tokens: int, limit: int) -> None:
        super().__init__(
            field,
            f"the model would have to read at least {tokens} tokens, and {limit} are allowed;"
            " send shorter texts or fewer of them",
        )
        self.tokens = tokens
        self.limit = limit


class SubjectNotFound(InvalidRequest):
    """The query has no content word at which a triple could start."""

    reason = "SUBJECT_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("query", "names nothing to look up; rephrase it or send the subject")


class EpsilonUnreachable(InvalidRequest):
    """`epsilon` is below the smallest loss of any graph (Eq. 7 with all retrieval mass in H)."""

    reason = "EPSILON_UNREACHABLE"

    def __init__(self, epsilon: float, minimum: float) -> None:
        super().__init__(
            "options.epsilon",
            f"{epsilon:g} is below the smallest loss possible here, L_min = {minimum:.6f}",
        )
        self.minimum = minimum


class NotAuthenticated(KgtError):
    """Nothing that counts here proves who calls."""

    reason = "NOT_AUTHENTICATED"


class NotPermitted(KgtError):
    """Who calls may not do this."""

    reason = "NOT_PERMITTED"


class NotFound(KgtError):
    """This user has no such thing. Another user's things are not found either."""

    reason = "NOT_FOUND"


class UnknownEdit(NotFound):
    """This user's history has no edit with this id."""

    reason = "UNKNOWN_EDIT"

    def __init__(self) -> None:
        super().__init__("no edit with this id; ListEdits shows the ids")


class UnknownRevision(NotFound):
    """A revision that this user's overlay has not reached."""

    reason = "UNKNOWN_REVISION"

    def __init__(self, asked: int, latest: int) -> None:
        super().__init__(f"revision {asked} does not exist; the latest is {latest}")


class UnknownPageToken(NotFound):
    """A page token of another user, request or server process, or from before an erase."""

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
    """The overlay changed after it was read and before the commit."""

    reason = "REVISION_MOVED"

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(
            f"expected revision {expected}, the overlay is at {actual}; read it again and retry"
        )
        self.expected = expected
        self.actual = actual


class OverlayErased(Conflict):
    """The user was erased while the request ran. The request leaves nothing behind."""

    reason = "OVERLAY_ERASED"

    def __init__(self) -> None:
        super().__init__("this user was erased while the request ran; nothing was written")


class RevertBlocked(Conflict):
    """Later edits changed, or relied on, triples that this revert would restore.

    `edit_ids` names the first of these edits, `count` counts all of them.
    """

    reason = "REVERT_BLOCKED"

    NAMED = 20
    """How many edits are named: messages and metadata have to fit the caller's limits."""

    def __init__(self, edit_ids: Sequence[str]) -> None:
        self.edit_ids = tuple(edit_ids[: self.NAMED])
        self.count = len(edit_ids)
        named = ", ".join(self.edit_ids)
        if self.count > self.NAMED:
            named += f" and {self.count - self.NAMED} more"
        super().__init__(
            f"later edits rely on this one: {named}; revert them first, or set skip_conflicts"
        )


class OverlayNotEmpty(Conflict):
    """An import without `merge` into an overlay that has edits."""

    reason = "OVERLAY_NOT_EMPTY"

    def __init__(self) -> None:
        super().__init__("this user has edits already; set merge, or erase the user first")


class Unavailable(KgtError):
    """The same request may work later: after `retry_after_s` seconds, where that is known."""

    reason = "UNAVAILABLE"

    def __init__(self, message: str, retry_after_s: float | None = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LimitReached(Unavailable):
    """A limit that keeps room for others.

    `subject` says whose limit it is ("user", "service" or "server"), `quota` names it, and `limit`
    is its value. `retry_after_s` is None where waiting does not help.
    """

    reason = "LIMIT_REACHED"

    def __init__(
        self,
        message: str,
        subject: str,
        quota: str,
        limit: int | str,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, retry_after_s)
        self.subject = subject
        self.quota = quota
        self.limit = limit


class StoreBusy(Unavailable):
    """The store is locked by another process, or cannot be opened now."""

    reason = "STORE_BUSY"


class StoreFull(Unavailable):
    """The disk that holds the store is full."""

    reason = "STORE_FULL"


class StoreUnreachable(Unavailable):
    """The database does not answer. A write may be committed or not: repeat it by request_id."""

    reason = "STORE_UNREACHABLE"


class BaseLoading(Unavailable):
    """The base graph is being loaded, and nothing can be read or written until it is."""

    reason = "BASE_LOADING"

    def __init__(self) -> None:
        super().__init__(
            "the base graph is being loaded; try again in a few seconds", retry_after_s=10.0
        )


class ModelBusy(Unavailable):
    """The model's queue is full."""

    reason = "MODEL_BUSY"


class ModelUnreachable(Unavailable):
    """The server that has the model does not answer, or answers with an error of its own."""

    reason = "MODEL_UNREACHABLE"

    def __init__(self, why: str, retry_after_s: float | None = 1.0) -> None:
        super().__init__(
            f"the model's server does not answer as it should: {why}; try again", retry_after_s
        )
        self.why = why


class ShuttingDown(Unavailable):
    """The server is stopping and accepts no new work."""

    reason = "SHUTTING_DOWN"


class DeadlinePassed(Unavailable):
    """The caller's deadline passed, or the caller left, before the model was asked."""

    reason = "DEADLINE_PASSED"


class DataLoss(KgtError):
    """The store holds something that it should not: it was damaged from outside."""

    reason = "STORE_CORRUPT"


class UnreadableRecord(DataLoss):
    """The record of one edit cannot be read. Other edits are not affected."""

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


class CopyRefused(StartupError):
    """A backup or an export cannot be made, or cannot be taken back, as it was asked."""
