"""Trees that are written page by page are what SQLite would have made of the same rows."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.stores.sqlite.records import Integers, Reals, RowIds, Texts, cells
from server.stores.sqlite.trees import (
    LONGEST_INDEX_CELL,
    LONGEST_TABLE_CELL,
    PAGE_BYTES,
    PageFile,
    Tree,
)

SCHEMA = """
PRAGMA page_size = 4096;
CREATE TABLE numbered (id INTEGER PRIMARY KEY, text TEXT NOT NULL, number INTEGER NOT NULL);
CREATE INDEX by_text ON numbered (text);
CREATE TABLE keyed (number INTEGER NOT NULL, weight REAL NOT NULL, PRIMARY KEY (number, weight))
  WITHOUT ROWID;
"""
Numbered = tuple[int, str, int]
Keyed = tuple[int, float]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trees.db"


def written(
    file: Path, numbered: Sequence[Numbered], keyed: Sequence[Keyed] = (), batch: int = 1000
) -> None:
    """Make a file with these rows, which are in the order of both keys. Each tree gets `batch` rows
    at a time."""
    file.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript(SCHEMA)
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master"))
    pages = PageFile(file)
    table = Tree(pages, roots["numbered"], is_table=True)
    index = Tree(pages, roots["by_text"], is_table=False)
    other = Tree(pages, roots["keyed"], is_table=False)
    for start in range(0, len(numbered), batch):
        part = numbered[start : start + batch]
        ids = np.array([row[0] for row in part])
        texts = Texts([row[1] for row in part])
        numbers = Integers(np.array([row[2] for row in part]))
        table.add(cells([RowIds(len(part)), texts, numbers], ids), ids)
        index.add(cells([texts, Integers(ids)]))
    for start in range(0, len(keyed), batch):
        rows = keyed[start : start + batch]
        first = Integers(np.array([row[0] for row in rows]))
        other.add(cells([first, Reals(np.array([row[1] for row in rows]))]))
    for tree in (table, index, other):
        tree.finish()
    pages.finish()
    pages.close()


def require_same(file: Path, numbered: Sequence[Numbered], keyed: Sequence[Keyed] = ()) -> None:
    """Assert that the file is sound, and holds the rows as SQLite itself would store them."""
    inserted = file.with_name("inserted.db")
    inserted.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(inserted)) as connection:
        connection.executescript(SCHEMA)
        connection.executemany("INSERT INTO numbered VALUES (?, ?, ?)", numbered)
        connection.executemany("INSERT INTO keyed VALUES (?, ?)", keyed)
        expected = stored(connection)
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert stored(connection) == expected


def stored(connection: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    """Rows with the types of their values, walked by the table and by the index."""
    return [
        connection.execute(statement).fetchall()
        for statement in (
            "SELECT *, typeof(id), typeof(text), typeof(number) FROM numbered NOT INDEXED",
            "SELECT text, id FROM numbered INDEXED BY by_text ORDER BY text",
            "SELECT *, typeof(number), typeof(weight) FROM keyed",
        )
    ]


def in_order(texts: Sequence[str]) -> list[Numbered]:
    """Rows in the order of their texts, with ids that have gaps."""
    ordered = sorted(set(texts), key=str.encode)
    return [(3 * at + 1, text, at * at) for at, text in enumerate(ordered)]


INTEGERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([sign * 2**bits + more for bits in (7, 15, 23, 31, 47, 62)
                     for sign in (1, -1) for more in (-1, 0, 1)]),
    st.integers(-2, 2),
)  # fmt: skip
REALS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**50), 2**50).map(float)
)


@settings(max_examples=60, deadline=None)
@given(
    keyed=st.sets(st.tuples(INTEGERS, REALS), max_size=60),
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
    batch=st.integers(1, 70),
)
def test_any_values_are_stored_as_sqlite_stores_them(
    keyed: set[Keyed], texts: list[str], batch: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("trees") / "trees.db"
    numbered = in_order(texts)
    written(file, numbered, sorted(keyed), batch)
    require_same(file, numbered, sorted(keyed))


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, LONGEST_INDEX_CELL - 20), max_size=300),
    batch=st.integers(1, 120),
)
def test_rows_of_any_lengths_fill_their_pages(
    lengths: list[int], batch: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("trees") / "trees.db"
    numbered = in_order([f"{at:04}".ljust(length, "x") for at, length in enumerate(lengths)])
    written(file, numbered, batch=batch)
    require_same(file, numbered)


@pytest.mark.parametrize("length", [40, 900])
def test_no_number_of_rows_leaves_a_page_empty(file: Path, length: int) -> None:
    for count in range(24 if length == 900 else 200):
        numbered = in_order([f"{at:04}".ljust(length, "x") for at in range(count)])
        written(file, numbered)
        require_same(file, numbered)


@pytest.mark.parametrize("batch", [500, 40_000])
def test_a_tree_may_have_several_levels(file: Path, batch: int) -> None:
    numbered = in_order([f"{at:05}".ljust(at % 700, "x") for at in range(20_000)])
    keyed = [(at, float(at % 7) / 2) for at in range(30_000)]
    written(file, numbered, keyed, batch)
    require_same(file, numbered, keyed)


def test_sqlite_can_change_what_was_written(file: Path) -> None:
    numbered = in_order([f"{at:05}" for at in range(5000)])
    written(file, numbered[::2])
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany("INSERT INTO numbered VALUES (?, ?, ?)", numbered[1::2])
        connection.execute("DELETE FROM numbered WHERE id % 5 = 0")
    require_same(file, [row for row in numbered if row[0] % 5])


def test_a_table_has_longer_rows_than_an_index(file: Path) -> None:
    rows = [(at + 1, at, "x" * (LONGEST_TABLE_CELL - 20 - at)) for at in range(30)]
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE long (id INTEGER PRIMARY KEY, number INTEGER, text TEXT)")
    pages = PageFile(file)
    tree = Tree(pages, 2, is_table=True)
    ids, numbers = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    tree.add(cells([RowIds(30), Integers(numbers), Texts([row[2] for row in rows])], ids), ids)
    tree.finish()
    pages.finish()
    pages.close()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT * FROM long").fetchall() == rows


@pytest.mark.parametrize("is_table", [True, False])
def test_a_row_that_does_not_fit_on_a_page_is_refused(file: Path, is_table: bool) -> None:
    written(file, [])
    pages = PageFile(file)
    text = "x" * (LONGEST_TABLE_CELL if is_table else LONGEST_INDEX_CELL)
    with contextlib.closing(pages), pytest.raises(ValueError, match="too long"):
        Tree(pages, 2, is_table=is_table).add(cells([Texts([text])]), np.array([1]))


def test_the_page_that_sqlite_locks_is_left_out(file: Path) -> None:
    locked = (1 << 30) // PAGE_BYTES + 1
    for before in range(4):
        file.touch()
        with file.open("r+b") as sparse:
            sparse.truncate((locked - 1 - before) * PAGE_BYTES)
        pages = PageFile(file)
        numbers = pages.add([bytes([at]) * PAGE_BYTES for at in range(1, 4)])
        pages.close()
        assert numbers == [at for at in range(locked - before, locked + 4) if at != locked][:3]
        with file.open("rb") as written_file:
            for at, number in enumerate(numbers, start=1):
                written_file.seek((number - 1) * PAGE_BYTES)
                assert written_file.read(PAGE_BYTES) == bytes([at]) * PAGE_BYTES
        file.unlink()
