"""The connection to a Neo4j: its login, its transactions, and its errors as this service's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, LiteralString, Self, TypeVar
from urllib.parse import urlsplit

import neo4j
from neo4j.exceptions import (
    AuthError,
    ClientError,
    ConfigurationError,
    ConnectionAcquisitionTimeoutError,
    DatabaseError,
    DriverError,
    IncompleteCommit,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
    TransientError,
)

from server.errors import (
    Internal,
    InvalidSetting,
    KgtError,
    StoreBusy,
    StoreFull,
    StoreUnreachable,
    StoreUnusable,
)
from server.stores.neo4j import cypher
from server.stores.neo4j.shares import Shares
from server.stores.rules.statements import Statements
from server.tuning.deadline import call_deadline
from server.tuning.watching import call_watch

SCHEMES = ("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc")
EMBEDDED = "sqlite"
DEFAULT_DATABASE = "neo4j"

CONNECTIONS = 64
"""How many transactions are under way at most."""
CONNECTIONS_A_USER = CONNECTIONS // 2
"""How many of them one user may have, so that no user takes all."""
_CONNECT_S = 3.0
_GRACE_S = 1.0
"""How much longer the database's own limit on a transaction is than this service's patience."""
_MOST_S = 15.0
"""How long one read or write may take, retries included, if the call has no earlier deadline."""
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.005, 0.5
_SCHEMA_TRIES = 20
_NOT_UP = (
    "Neo.TransientError.General.DatabaseUnavailable",
    "Neo.TransientError.Database.DatabaseUnavailable",
)
_DIVISION_BY_ZERO = "Neo.ClientError.Statement.ArithmeticError"
_READ_ONLY = ("ForbiddenOnReadOnlyDatabase", "WriteOnReadOnlyAccessDatabase", "ReadOnly")
"""The ends of the error codes of a database that takes no writes."""
_FULL = (
    "Neo.TransientError.General.TransactionOutOfMemoryError",
    "Neo.TransientError.General.OutOfMemoryError",
)
_STATEMENTS = Statements(cypher)

Tx = neo4j.AsyncManagedTransaction
R = TypeVar("R")
Work = Callable[[Tx], Awaitable[R]]


class StatementRefused(Exception):
    """A statement that commits by itself saw that it must not, and divided by zero.

    Nothing of it was written. An earlier attempt, whose outcome was lost, may have been.
    """

    def __init__(self, *, tried_before: bool) -> None:
        super().__init__()
        self.tried_before = tried_before


@dataclass(frozen=True, slots=True)
class Neo4jLogin:
    """Where a Neo4j is, and how the service signs in. The password is not shown."""

    url: str
    user: str
    password: str = field(repr=False)
    database: str = DEFAULT_DATABASE


def checked_login(store: str, user: str, password: str, database: str) -> Neo4jLogin:
    """The login of a KGT_STORE that names a Neo4j. Raises InvalidSetting."""
    parts = urlsplit(store)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise InvalidSetting(
            "KGT_STORE: is sqlite, or a Neo4j's address such as neo4j://127.0.0.1:7687"
        )
    if parts.username or parts.password:
        raise InvalidSetting(
            "KGT_STORE: holds a user or password; set KGT_NEO4J_USER and KGT_NEO4J_PASSWORD instead"
        )
    for name, value in (("KGT_NEO4J_USER", user), ("KGT_NEO4J_PASSWORD", password)):
        if not value:
            raise InvalidSetting(f"{name}: is required with KGT_STORE={store}")
    return Neo4jLogin(store, user, password, database or DEFAULT_DATABASE)


class Connection:
    """A driver, and transactions over it.

    No session or transaction outlives its call. Each is closed on the way out, even after an error
    or a cancellation. If one takes longer than its caller waits, the database itself ends it, along
    with the locks that it holds or waits for.
    """

    def __init__(self, login: Neo4jLogin) -> None:
        # The driver's own log shows statements and parameters, and so what users wrote.
        logging.getLogger("neo4j").setLevel(logging.CRITICAL)
        self._login = login
        self._shares = Shares(CONNECTIONS_A_USER)
        try:
            self._driver = neo4j.AsyncGraphDatabase.driver(
                login.url,
                auth=(login.user, login.password),
                connection_timeout=_CONNECT_S,
                connection_acquisition_timeout=_CONNECT_S + 2,
                max_connection_pool_size=CONNECTIONS,
                max_transaction_retry_time=0,  # retried here, where the call's deadline is known
                notifications_min_severity="OFF",
                telemetry_disabled=True,
            )
        except (ConfigurationError, ValueError) as error:
            raise InvalidSetting(f"KGT_STORE: {login.url} is not an address of a Neo4j") from error
        # In a cluster, a follower answers only once it has what this process has seen.
        self._bookmarks = neo4j.AsyncGraphDatabase.bookmark_manager()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._driver.close()

    async def require_usable(self) -> None:
        """Return if the database takes this login. Raises StoreUnusable, which says what to do."""
        try:
            async with self._session() as session:
                await (await session.run("RETURN 1")).consume()
        except AuthError as error:
            raise StoreUnusable(
                f"the Neo4j at {self._login.url} refuses this user or password; check"
                " KGT_NEO4J_USER and KGT_NEO4J_PASSWORD (after many wrong ones, it refuses right"
                " ones too for a while)"
            ) from error
        except ClientError as error:
            if "DatabaseNotFound" in (error.code or ""):
                raise StoreUnusable(
                    f"the Neo4j at {self._login.url} has no database {self._login.database!r};"
                    " check KGT_NEO4J_DATABASE"
                ) from error
            raise StoreUnusable(
                f"the Neo4j at {self._login.url} refuses to work: {error.code}"
            ) from error
        except (DriverError, Neo4jError, OSError) as error:
            raise StoreUnusable(
                f"no Neo4j answers at {self._login.url}; start it, or correct KGT_STORE"
                f" ({type(error).__name__})"
            ) from error

    async def run_schema(self, statement: LiteralString) -> None:
        """Run a statement of the schema, in a transaction of its own. Raises StoreUnusable."""
        tries = 0
        while True:
            try:
                async with self._session() as session:
                    await (await session.run(statement)).consume()
                return
            except (DriverError, Neo4jError) as error:
                tries += 1
                made_meanwhile = (getattr(error, "code", "") or "").endswith("AlreadyExists")
                if tries == _SCHEMA_TRIES or not (
                    made_meanwhile or isinstance(error, TransientError)
                ):
                    raise self._no_schema(statement, error) from error
            # Servers that start together make the same schema. One of two that deadlock has to try
            # again, and IF NOT EXISTS does not see what is made at the same moment.
            await asyncio.sleep(_LONGEST_DELAY_S * random.uniform(0.5, 1.0))

    def _no_schema(
        self, statement: LiteralString, error: DriverError | Neo4jError
    ) -> StoreUnusable:
        code = error.code if isinstance(error, Neo4jError) else type(error).__name__
        return StoreUnusable(
            f"the schema cannot be made in the Neo4j at {self._login.url} ({code}); use a database"
            " of its own for this service, and a user who may change its schema."
            f" Failed: {statement}"
        )

    async def read(self, work: Work[R], limit_s: float = _MOST_S, *, user: str = "") -> R:
        """Run `work` for `user` in a read transaction; it may run more than once.

        In a cluster a follower may answer. It has at least what this process has read or written.
        """
        return await self._retried(self._managed(work, writing=False), limit_s, user)

    async def read_latest(self, work: Work[R], limit_s: float = _MOST_S, *, user: str = "") -> R:
        """Run `work` as `read` does, but where writes go, so that no other server's is missed."""
        return await self._retried(self._managed(work, writing=True), limit_s, user)

    async def write(self, work: Work[R], limit_s: float = _MOST_S, *, user: str = "") -> R:
        """Run `work` for `user` in a write transaction.

        It may run more than once, even after a commit whose outcome was lost. Raises
        StoreUnreachable if time runs out before the outcome is known.
        """
        return await self._retried(self._managed(work, writing=True), limit_s, user)

    async def write_at_once(
        self,
        statement: LiteralString,
        parameters: dict[str, Any],
        limit_s: float = _MOST_S,
        *,
        user: str = "",
        tried_before: bool = False,
    ) -> neo4j.Record:
        """The record of a statement for `user` that commits by itself, in a single round trip.

        Like `write`, it may run more than once. The statement's locks are let go without waiting
        for this service, which may be busy with other calls. Raises StatementRefused, which says
        whether the statement was tried before: here, or by the caller if `tried_before` says so.
        """
        attempts = 0

        async def once(limit_s: float) -> neo4j.Record:
            nonlocal attempts
            attempts += 1
            query = neo4j.Query(statement, timeout=limit_s)
            try:
                async with self._session() as session:
                    with _STATEMENTS.watched(statement):
                        return await (await session.run(query, parameters)).single(strict=True)
            except (ServiceUnavailable, SessionExpired) as error:
                raise IncompleteCommit from error
            except ClientError as error:
                if error.code == _DIVISION_BY_ZERO:
                    raise StatementRefused(tried_before=tried_before or attempts > 1) from error
                raise

        return await self._retried(once, limit_s, user)

    async def try_write(self, statement: LiteralString, limit_s: float) -> None:
        """Run a statement that writes, and roll it back.

        Raises Unavailable if nothing can be written now.
        """
        try:
            async with (
                asyncio.timeout(limit_s),
                self._session() as session,
                await session.begin_transaction(timeout=limit_s) as tx,
            ):
                await done(tx, statement)
                await tx.rollback()
        except TimeoutError as error:
            raise StoreUnreachable(
                "the graph database takes no writes in time; its log says why"
            ) from error
        except (DriverError, Neo4jError, OSError) as error:
            raise _translation(error, unknown=False) from error

    async def _retried(self, once: Callable[[float], Awaitable[R]], limit_s: float, user: str) -> R:
        """The result of `once`, which is told how long the database may take."""
        given = call_deadline.get()
        end = time.monotonic() + limit_s
        end = end if given is None else min(end, given)
        delay, lost = _FIRST_DELAY_S, 0
        while True:
            left_s = max(end - time.monotonic(), 0.0)
            try:
                async with asyncio.timeout(left_s), self._share(user):
                    return await once(left_s + _GRACE_S)
            except KgtError:
                raise
            except TimeoutError as error:
                raise StoreUnreachable(
                    "the graph database took too long; repeat with the same request_id"
                ) from error
            except (DriverError, Neo4jError, OSError) as error:
                lost += _is_lost(error)
                unknown = isinstance(error, IncompleteCommit)
                if not _is_worth_a_retry(error, lost) or time.monotonic() + delay >= end:
                    raise _translation(error, unknown=unknown) from error
            call_watch.get().retried("transaction")
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, _LONGEST_DELAY_S)

    def _managed(self, work: Work[R], *, writing: bool) -> Callable[[float], Awaitable[R]]:
        async def once(limit_s: float) -> R:
            limited = neo4j.unit_of_work(timeout=limit_s)(work)
            async with self._session() as session:
                return await (
                    session.execute_write(limited) if writing else session.execute_read(limited)
                )

        return once

    def _share(self, user: str) -> contextlib.AbstractAsyncContextManager[None]:
        return self._shares.of(user) if user else contextlib.nullcontext()

    def _session(self) -> neo4j.AsyncSession:
        return self._driver.session(database=self._login.database, bookmark_manager=self._bookmarks)


def _is_lost(error: BaseException) -> bool:
    """Whether the connection was lost, or could not be made."""
    return (
        isinstance(error, ServiceUnavailable | SessionExpired | OSError)
        or getattr(error, "code", "") in _NOT_UP
    )


def _is_worth_a_retry(error: BaseException, lost: int) -> bool:
    """Whether to try again: after a deadlock until time is up, after a lost connection twice.

    Pooled connections may be stale.
    """
    if _is_lost(error):
        return lost <= 2
    if isinstance(error, Neo4jError) and error.code in _FULL:
        return False
    if isinstance(error, Neo4jError) and "EntityNotFound" in (error.code or ""):
        return True  # an erase removed what this transaction waited for
    return isinstance(error, TransientError) or (
        isinstance(error, Neo4jError) and error.is_retryable()
    )


def _translation(error: BaseException, *, unknown: bool) -> KgtError:
    """A driver's error as this service's. Its message is left out: it may hold what a user wrote.

    `unknown` says that a commit's outcome is not known.
    """
    code = (getattr(error, "code", "") or type(error).__name__).rpartition(".")[2]
    # The connection: lost during a commit, lost before, or not to be had.
    if unknown:
        return StoreUnreachable(
            "the graph database went away during the commit; repeat with the same request_id"
        )
    if _is_lost(error):
        return StoreUnreachable("the graph database cannot be reached now; try again")
    if isinstance(error, ConnectionAcquisitionTimeoutError):
        return StoreBusy("all connections to the graph database are in use; try again")
    # What the database refuses: writes, time, this login, memory.
    if code.endswith(_READ_ONLY):
        return StoreUnreachable("the graph database takes no writes now; its log says why", 10.0)
    if code.startswith("TransactionTimedOut"):
        return StoreBusy("the graph database took too long; try again")
    if isinstance(error, AuthError):
        return StoreUnreachable(
            f"the graph database refuses this service ({code}); was its password changed?", 10.0
        )
    if isinstance(error, Neo4jError) and error.code in _FULL:
        return StoreFull(
            "the graph database has no memory for this; try a smaller request, or try later", 10.0
        )
    # Everything else, by whether it may pass.
    if isinstance(error, TransientError) or getattr(error, "is_retryable", bool)():
        return StoreBusy(f"the graph database is busy ({code}); try again")
    if isinstance(error, DatabaseError):
        return StoreUnreachable(f"the graph database failed ({code}); its log says why")
    return Internal(f"the store failed ({code})")


async def one(
    tx: Tx | neo4j.AsyncTransaction,
    statement: LiteralString,
    **parameters: Any,
) -> neo4j.Record:
    """The one record that a statement yields."""
    with _STATEMENTS.watched(statement):
        return await (await tx.run(statement, parameters)).single(strict=True)


async def done(
    tx: Tx | neo4j.AsyncTransaction,
    statement: LiteralString,
    **parameters: Any,
) -> None:
    """Run a statement to its end."""
    with _STATEMENTS.watched(statement):
        await (await tx.run(statement, parameters)).consume()
