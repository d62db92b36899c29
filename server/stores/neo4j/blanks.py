"""Blanks over what was erased.

Neo4j does not clear a record that it deletes: the texts stay in its store files until the record's
place is used again. So the service uses the places itself, for nodes full of blanks, and keeps
these nodes: what they hold is not given out again, and the places that the next erase frees are the
only free ones. How much was erased and is not covered yet stands in the graph, so that a service
that was killed goes on when it starts again. The decision and what was measured:
docs/decisions/0014-erasing-in-neo4j.md.
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
"""When Neo4j gives a freed place out again: its own round for that comes once a second."""
_PATIENCE_S = 60.0
_BATCH = 50
_RECORD_TEXT_CHARACTERS = 27
"""So many characters of Latin-1 fill the whole of a property record."""
_HALF_RECORD_CHARACTERS = 11
_RECORDS = 20
_BLOCK_BYTES = 120
"""What a block of a long text or of an array holds."""
_BLOCKS = 20
_ARRAY_HEADER_BYTES = 3
_SLACK = 1.5
"""How much more is filled than was erased: earlier commits free places too."""
_LEAST = 64
"""Blanks that are there in any case, to be written again and again where the transaction log is to
be moved on."""
_SMALL_LOG_BYTES = 4 << 20
_REWRITES = 12
"""Writing the least number of blanks anew so often takes more than 1 MiB of transaction log."""


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
    """What erasing the user of a COUNT_OF_USER frees: each thing has about so many property
    records."""
    records = (
        30 * record["edits"]
        + 14 * (record["added"] + record["deleted"])
        + 6 * record["personal"]
        + 8 * record["responses"]
        + 4
    )
    return Freed(int(record["bytes"]), records)


class Blanks:
    """Puts blanks over what was erased, for all who erase at the same time in one round."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._collecting: asyncio.Task[None] | None = None
        self._rounds: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    def start(self) -> asyncio.Task[None]:
        """A round that covers all that was erased by now."""
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
        """Return when all that was erased by now is covered. The round goes on where the caller
        leaves."""
        await asyncio.shield(self.start())

    async def cover_earlier(self) -> None:
        """Begin to cover what a service that was stopped has left."""
        if (await self._due()).records:
            self.start()

    async def close(self) -> None:
        for task in list(self._rounds):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, KgtError):
                await task

    async def _round(self) -> None:
        async with self._turn:
            self._collecting = None  # who erases from now on waits for the next round
            due = await self._due()
            if not due.records:
                return
            await self._put(due)
            await self._move_log()

    async def _due(self) -> Freed:
        async def work(tx: Tx) -> Freed:
            record = await one(tx, cypher.DUE, owner="", bucket=0)
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
        """Write so much that Neo4j begins a new transaction log, where it is set to keep small
        ones.

        It deletes the old ones at its next checkpoint, which Community Edition makes by its own
        clock alone.
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
    """What Neo4j's transaction logs are set to; empty where this user may not see it."""

    async def work(tx: Tx) -> dict[str, str]:
        return {
            record["name"]: record["value"] async for record in await tx.run(cypher.LOG_SETTINGS)
        }

    try:
        return await connection.read(work, _PATIENCE_S)
    except KgtError:
        return {}


def advice_on_logs(settings: dict[str, str]) -> str:
    """What keeps erased texts in transaction logs for longer than need be; empty where nothing
    does."""
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
    """A size in Neo4j's notation (256.00MiB, 1m); one that cannot be read is large."""
    number = size.rstrip("BKMGTikmgtb")
    unit = size[len(number) :].upper()[:1]
    try:
        return int(float(number) * 1024 ** " KMGT".index(unit or " "))
    except ValueError:
        return _SMALL_LOG_BYTES + 1


def _blank(character: str, *, whole: bool) -> dict[str, object]:
    """A blank's properties: each fills a record of its own; the whole ones have blocks of text and
    arrays too."""
    filled: dict[str, object] = {
        f"fill_{n}": character * _RECORD_TEXT_CHARACTERS for n in range(_RECORDS)
    }
    if whole:
        filled["tail"] = (
            character * _HALF_RECORD_CHARACTERS
        )  # text and array take the record's other half
        filled["text"] = " " * (_BLOCKS * _BLOCK_BYTES)
        filled["array"] = bytes(_BLOCKS * _BLOCK_BYTES - _ARRAY_HEADER_BYTES)
    return filled
