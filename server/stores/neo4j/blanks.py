"""Blanks over what was erased.

Neo4j does not clear a record that it deletes: the texts stay in its store files until the record's
place is used again. So the service uses these places itself, for nodes full of blanks, and keeps
the nodes. Their places are not given out again, and the only free places are those that the next
erase frees. The graph says how much was erased and is not covered yet, so a service that was killed
goes on when it starts again. docs/decisions/0014-erasing-in-neo4j.md has the decision and the
measurements.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import Any, LiteralString

import neo4j

from server.errors import KgtError
from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Connection, Tx, done, one

_log = logging.getLogger(__name__)

_REUSABLE_AFTER_S = 2.0
"""When Neo4j gives out a freed place again. It looks for freed places once a second."""
_PATIENCE_S = 60.0
_BATCH = 50
_RECORD_TEXT_CHARACTERS = 27
"""How many characters of Latin-1 fill a whole property record."""
_HALF_RECORD_CHARACTERS = 11
_RECORDS = 20
_BLOCK_BYTES = 120
"""How much a block of a long text or of an array holds."""
_BLOCKS = 20
_ARRAY_HEADER_BYTES = 3
_SLACK = 1.5
"""How much more is filled than was erased. Earlier commits free places too."""
_LEAST = 64
"""How many blanks there are at least. They are rewritten to move the transaction log on."""
_SMALL_LOG_BYTES = 4 << 20
_REWRITES = 12
"""How often the least number of blanks is rewritten. It takes over 1 MiB of transaction log."""


@dataclass(frozen=True, slots=True)
class Freed:
    """How much was deleted: bytes of texts, and property records."""

    texts: int = 0
    records: int = 0

    @property
    def blanks(self) -> int:
        """How many blanks take its place."""
        for_texts = self.texts * 4 / (_BLOCKS * _BLOCK_BYTES)
        for_records = self.records / _RECORDS
        return _LEAST + round(_SLACK * max(for_texts, for_records))


def freed_by(record: neo4j.Record) -> Freed:
    """What erasing a user frees, from a row of COUNT_OF_USER.

    The factors are about how many property records each thing has.
    """
    records = (
        30 * record["edits"]
        + 14 * (record["added"] + record["deleted"])
        + 6 * record["personal"]
        + 8 * record["responses"]
        + 4
    )
    return Freed(int(record["bytes"]), records)


class Blanks:
    """Puts blanks over what was erased. Users who erase at the same time share a round."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._collecting: asyncio.Task[None] | None = None
        self._rounds: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    def start(self) -> asyncio.Task[None]:
        """A round that covers everything erased by now."""
        if self._collecting is None:
            self._collecting = asyncio.create_task(self._round())
            self._rounds.add(self._collecting)
            self._collecting.add_done_callback(self._ended)
        return self._collecting

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._rounds.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning(
                "what was erased is not covered yet (%s); the next erase or start does it",
                type(error).__name__,
            )

    async def cover(self) -> None:
        """Return when everything erased by now is covered.

        The round goes on if the caller leaves.
        """
        await asyncio.shield(self.start())

    async def cover_earlier(self) -> None:
        """Begin to cover what a service left when it was stopped."""
        if (await self._due()).records:
            self.start()

    async def close(self) -> None:
        for task in list(self._rounds):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, KgtError):
                await task

    async def _round(self) -> None:
        async with self._turn:
            self._collecting = None  # an erase from now on waits for the next round
            due = await self._due()
            if not due.records:
                return
            await self._put(due)
            await self._move_log()

    async def _due(self) -> Freed:
        async def work(tx: Tx) -> Freed:
            record = await one(tx, cypher.DUE)
            return Freed(record["texts"], record["records"])

        return await self._connection.read(work, _PATIENCE_S)

    async def _put(self, due: Freed) -> None:
        await asyncio.sleep(_REUSABLE_AFTER_S)
        for start in range(0, due.blanks, _BATCH):
            count = min(_BATCH, due.blanks - start)
            await self._write(cypher.PUT_BLANKS, count=count, blank=_blank("§", whole=True))
        await self._write(cypher.ADD_DUE, texts=-due.texts, records=-due.records)

    async def _write(self, statement: LiteralString, **parameters: Any) -> None:
        async def work(tx: Tx) -> None:
            await done(tx, statement, **parameters)

        await self._connection.write(work, _PATIENCE_S)

    async def _move_log(self) -> None:
        """Make Neo4j begin a new transaction log, if it is set to keep small ones.

        It deletes the old ones at its next checkpoint, which Community Edition makes only by its
        own clock.
        """
        if await self._log_bytes() > _SMALL_LOG_BYTES:
            return
        for number in range(_REWRITES):
            fill = _blank("¤§"[number % 2], whole=False)
            await self._write(cypher.REWRITE_BLANKS, count=_LEAST, blank=fill)

    async def _log_bytes(self) -> int:
        settings = await log_settings(self._connection)
        return _bytes_of(settings.get("db.tx_log.rotation.size", ""))


async def log_settings(connection: Connection) -> dict[str, str]:
    """How Neo4j's transaction logs are set; empty if this user may not see it."""

    async def work(tx: Tx) -> dict[str, str]:
        return {
            record["name"]: record["value"] async for record in await tx.run(cypher.LOG_SETTINGS)
        }

    try:
        return await connection.read(work, _PATIENCE_S)
    except KgtError:
        return {}


def advice_on_logs(settings: dict[str, str]) -> str:
    """What to change so that transaction logs do not keep erased texts; empty if all is well."""
    kept = settings.get("db.tx_log.rotation.retention_policy", "keep_none")
    if (
        kept == "keep_none"
        and _bytes_of(settings.get("db.tx_log.rotation.size", "1MiB")) <= _SMALL_LOG_BYTES
    ):
        return ""
    return (
        f"this Neo4j keeps transaction logs ({kept}), and with them what users have erased: set"
        " db.tx_log.rotation.retention_policy=keep_none, db.tx_log.rotation.size=1m and"
        " db.checkpoint.interval.time=1m, as docker-compose.yml does"
    )


def _bytes_of(size: str) -> int:
    """A size in Neo4j's notation (256.00MiB, 1m). One that cannot be read counts as large."""
    number = size.rstrip("BKMGTikmgtb")
    unit = size[len(number) :].upper()[:1]
    try:
        return int(float(number) * 1024 ** " KMGT".index(unit or " "))
    except ValueError:
        return _SMALL_LOG_BYTES + 1


def _blank(character: str, *, whole: bool) -> dict[str, object]:
    """A blank's properties, each of which fills a record of its own.

    A whole blank has blocks of text and of an array too.
    """
    filled: dict[str, object] = {
        f"fill_{n}": character * _RECORD_TEXT_CHARACTERS for n in range(_RECORDS)
    }
    if whole:
        # Text and array take the other half of the record of `tail`.
        filled["tail"] = character * _HALF_RECORD_CHARACTERS
        filled["text"] = " " * (_BLOCKS * _BLOCK_BYTES)
        filled["array"] = bytes(_BLOCKS * _BLOCK_BYTES - _ARRAY_HEADER_BYTES)
    return filled
