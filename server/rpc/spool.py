"""Imports that are coming in: counted and bounded together, and on disk rather than in memory."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import IO

from kgt.v1 import personalization_pb2 as pb
from server.errors import InvalidRequest, StoreFull
from server.rpc.errors import CallStalled, ImportsBusy
from server.rpc.load import Load
from server.rpc.under_way import UnderWay

_IN_MEMORY_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 20
_QUICK_BYTES = 1 << 16
"""A message up to this size is written on the event loop: that is faster than changing threads."""


class Imports:
    """The imports under way: how many, whose, and how many bytes they hold."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self._under_way = UnderWay(ImportsBusy.by_number, load.user_imports, load.imports)
        self._bytes = 0

    @contextlib.contextmanager
    def begun(self, user: str) -> Iterator[Spool]:
        """A place for one import's lines, which is removed at the end. Raises ImportsBusy."""
        with (
            self._under_way.begun(user),
            # Only this process can read the file: its mode is 0600, and its name goes once it is
            # open.
            tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file,
        ):
            spool = Spool(self, file)
            try:
                yield spool
            finally:
                self._bytes -= spool.bytes

    def take(self, size: int) -> None:
        """Count `size` more bytes. Raises ImportsBusy."""
        if self._bytes + size > self.load.imports_bytes:
            raise ImportsBusy("server", "imports_bytes", self.load.imports_bytes)
        self._bytes += size


class Spool:
    """The lines of one import. They can be read any number of times."""

    def __init__(self, imports: Imports, file: IO[bytes]) -> None:
        self.bytes = 0
        self._imports = imports
        self._file = file
        self._hash = hashlib.sha256()
        self._lines = 0
        self._in_line = True

    def count(self, lines: int, size: int) -> None:
        """Count a message before its lines are added. Raises InvalidRequest and ImportsBusy."""
        load = self._imports.load
        self._lines += lines
        if self._lines > load.import_lines or self.bytes + size > load.import_bytes:
            raise InvalidRequest(
                "lines", f"are more than {load.import_lines} lines or {load.import_bytes >> 20} MiB"
            )
        self._imports.take(size)
        self.bytes += size

    def add(self, lines: Sequence[str], *, continued: bool) -> None:
        """Write a message's lines. A `continued` last line goes on in the next message.

        Raises StoreFull when the disk has no room.
        """
        if not lines:
            return
        start = "" if self._in_line else "\n"
        self._in_line = continued
        data = (start + "\n".join(lines)).encode()
        self._hash.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise StoreFull("there is no room for the import; try again later") from error

    @property
    def sha256(self) -> bytes:
        """The hash of all lines."""
        return self._hash.digest()

    def __iter__(self) -> Iterator[str]:
        offset = 0
        while True:
            self._file.seek(offset)
            block = self._file.readlines(_BLOCK_BYTES)
            if not block:
                return
            offset = self._file.tell()
            for line in block:
                yield line.decode().removesuffix("\n")


async def received(
    messages: AsyncIterator[pb.ImportOverlayRequest], spool: Spool, within_s: float
) -> pb.ImportOverlayRequest:
    """Write the lines of all `messages` into `spool`. Returns the first message.

    Raises CallStalled after `within_s`, InvalidRequest, ImportsBusy and StoreFull.
    """
    first: pb.ImportOverlayRequest | None = None
    try:
        async with asyncio.timeout(within_s):
            async for message in messages:
                if first is not None and not message.lines:
                    raise InvalidRequest("lines", "are missing from a message after the first")
                first = first or message
                await _write(message, spool)
    except TimeoutError:
        raise CallStalled(within_s) from None
    assert first is not None  # the interceptor has seen it
    return first


async def _write(message: pb.ImportOverlayRequest, spool: Spool) -> None:
    size = message.ByteSize()
    spool.count(len(message.lines), size)
    if size < _QUICK_BYTES:
        spool.add(message.lines, continued=message.continued)
    else:
        await asyncio.to_thread(spool.add, message.lines, continued=message.continued)
