"""Zeroing the gaps of a database file's pages."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.stores.sqlite.scrub import CannotScrub, Scrubbed, zero_gaps

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA secure_delete = ON;
CREATE TABLE rows (user TEXT, number INTEGER, body TEXT, PRIMARY KEY (user, number)) WITHOUT ROWID;
CREATE INDEX rows_by_body ON rows (user, body);
"""


def _filled(path: Path, seed: int, users: int, rows: int) -> sqlite3.Connection:
    """A database whose pages were split and balanced many times, with the log written back."""
    draw = random.Random(seed)
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(_SCHEMA)
    places = [(user, number) for user in range(users) for number in range(rows)]
    draw.shuffle(places)
    for user, number in places:
        body = f"secret-of-{user:03d}-" + "x" * draw.choice((1, 30, 300, 6000))
        db.execute("INSERT INTO rows VALUES (?, ?, ?)", (f"name-{user:03d}", number, body))
    return db


def _scrub(path: Path, pages: int = 7) -> int:
    """All gaps of the file, a few pages at a time; returns how many bytes were not zero."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        zeroed, page = 0, 0
        while True:
            done = zero_gaps(descriptor, page, pages)
            zeroed += done.zeroed_bytes
            if done.next_page is None:
                return zeroed
            page = done.next_page
    finally:
        os.close(descriptor)


def _written_back(db: sqlite3.Connection) -> None:
    assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


def test_deleted_rows_leave_no_byte_behind(tmp_path: Path) -> None:
    path, left = tmp_path / "some.db", 0
    db = _filled(path, seed=1, users=24, rows=120)
    for user in range(24):
        db.execute("DELETE FROM rows WHERE user = ?", (f"name-{user:03d}",))
        _written_back(db)
        left += path.read_bytes().count(b"-%03d" % user)
        _scrub(path)
        assert b"-%03d" % user not in path.read_bytes()
    assert left > 0  # else this test would say nothing of the scrub


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    users=st.integers(1, 12),
    rows=st.integers(1, 40),
    pages=st.integers(1, 50),
)
def test_what_sqlite_reads_stays_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, seed: int, users: int, rows: int, pages: int
) -> None:
    path = tmp_path_factory.mktemp("scrub") / "some.db"
    db = _filled(path, seed, users, rows)
    db.execute("DELETE FROM rows WHERE user = 'name-000'")
    before = db.execute("SELECT * FROM rows ORDER BY 1, 2").fetchall()
    _written_back(db)
    db.close()
    _scrub(path, pages)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("SELECT * FROM rows ORDER BY 1, 2").fetchall() == before
    db.close()
    assert _scrub(path, pages) == 0


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_bytes(b"\x0d" * 10_000)
    with pytest.raises(CannotScrub):
        _scrub(path)
    assert path.read_bytes() == b"\x0d" * 10_000


def test_the_end_of_the_file_ends_the_pass(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    db = _filled(path, seed=2, users=1, rows=3)
    _written_back(db)
    descriptor = os.open(path, os.O_RDWR)
    try:
        assert zero_gaps(descriptor, 10_000, 5) == Scrubbed(0, None)
    finally:
        os.close(descriptor)
