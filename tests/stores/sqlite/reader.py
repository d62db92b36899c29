"""Another process that reads a store and leaves its transaction open.

`python -m tests.stores.sqlite.reader FILE` prints "reading" and stays until its input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

from testbed.processes import ROOT


@contextlib.asynccontextmanager
async def reading(path: Path) -> AsyncIterator[None]:
    """Inside, another process holds a read transaction on the file."""
    command = (sys.executable, "-m", "tests.stores.sqlite.reader", str(path))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"reading\n"
        yield
    finally:
        process.stdin.close()
        await process.wait()


if __name__ == "__main__":
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT COUNT(*) FROM edits").fetchone()
    print("reading", flush=True)
    sys.stdin.read()
