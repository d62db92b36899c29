"""python -m bench.erase: times removing an erased user's last byte from the embedded store.

It fills overlay files of several sizes with the edits of many users in random order, erases one of
them, and times zeroing the gaps of all pages (`server/stores/sqlite/scrub.py`), the same again, and
SQLite's VACUUM. `left` counts the places that still held the erased user's name before. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from server.stores.sqlite import sql
from server.stores.sqlite.migrations import prepare_overlays
from server.stores.sqlite.scrub import zero_gaps

_ERASED = "user-000003-x"
_SLICE_PAGES = 16_384


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.erase", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--users", default="24,1000", help="numbers of users, one file each")
    parser.add_argument("--edits", type=int, default=200, help="edits of each user, of one triple")
    given = parser.parse_args(arguments)
    results = []
    for users in map(int, given.users.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            results.append(_measured(Path(folder) / "overlays.db", users, given.edits))
            print(results[-1], flush=True)
    print(json.dumps(results))


def _measured(path: Path, users: int, edits: int) -> dict[str, Any]:
    prepare_overlays(path)
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(sql.CONNECTION_PRAGMAS + "PRAGMA synchronous = OFF;")
    _fill(db, users, edits)
    for statement in sql.ERASE:
        db.execute(statement, (_ERASED,))
    db.execute(sql.TRUNCATE_WAL).fetchone()
    line: dict[str, Any] = {
        "users": users,
        "edits": users * edits,
        "mebibytes": round(path.stat().st_size / (1 << 20), 1),
        "left": path.read_bytes().count(_ERASED.encode()),
        "zeroing_s": _timed(lambda: _scrub(path)),
        "zeroing_again_s": _timed(lambda: _scrub(path)),
    }
    assert _ERASED.encode() not in path.read_bytes()
    db.execute("PRAGMA synchronous = FULL")
    line["vacuum_s"] = _timed(lambda: db.executescript(f"VACUUM; {sql.TRUNCATE_WAL};"))
    db.close()
    return line


def _fill(db: sqlite3.Connection, users: int, edits: int) -> None:
    """The rows of edits of one triple, in an order in which many users write at once."""
    draw = random.Random(users)
    order = [user for user in range(users) for _ in range(edits)]
    draw.shuffle(order)
    revisions: dict[int, int] = {}
    db.execute("BEGIN")
    for number in order:
        user = f"user-{number:06d}-x"
        revision = revisions[number] = revisions.get(number, 0) + 1
        head, tail = f"{user} thing {draw.randrange(50)}", f"{user} value {draw.randrange(10**6)}"
        kept = (secrets.token_hex(16), secrets.token_hex(32), secrets.token_bytes(300))
        body = json.dumps({"query": head, "answer": tail, "triple": [head, "HasA", tail]}) * 2
        db.execute(sql.INSERT_EDIT, (user, revision, secrets.token_hex(16), 0, None, *kept, body))
        db.execute(
            sql.INSERT_TOUCH,
            (user, head, "HasA", tail, revision, head, tail, 1, "added", revision, 0),
        )
        db.execute(sql.PUT_MARK, (user, head, "HasA", tail, head, tail, "added", revision, 0))
    db.execute("COMMIT")


def _scrub(path: Path) -> None:
    descriptor, page = os.open(path, os.O_RDWR), 0
    try:
        while (done := zero_gaps(descriptor, page, _SLICE_PAGES)).next_page is not None:
            page = done.next_page
    finally:
        os.close(descriptor)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return round(time.perf_counter() - started, 3)


if __name__ == "__main__":
    main()
