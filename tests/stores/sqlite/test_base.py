"""The base's file: built whole, or not at all."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from server.errors import StoreUnusable
from server.stores.sqlite import sql
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.store import SqliteStore
from testbed.bases import BaseTriple, build_base
from tests.conformance.graph_store import CARROTS, MEAT, VOCABULARY, t


def test_the_same_triples_make_the_same_fingerprint_in_any_order(tmp_path: Path) -> None:
    triples = [BaseTriple(MEAT, 4.0), BaseTriple(t("hot", "Antonym", "cold"), 1.0)]
    first = build_base(tmp_path / "a", triples, VOCABULARY)
    second = build_base(tmp_path / "b", reversed(triples), VOCABULARY)
    other = build_base(tmp_path / "c", [BaseTriple(MEAT, 3.0)], VOCABULARY)
    assert first.fingerprint == second.fingerprint != other.fingerprint


def test_triples_given_twice_are_one_with_the_highest_weight(tmp_path: Path) -> None:
    counts = build_base(
        tmp_path,
        [
            BaseTriple(MEAT, 1.0),
            BaseTriple(t("Dog", "Desires", "MEAT"), 5.0),
            BaseTriple(t("hot", "Antonym", "cold")),
            BaseTriple(t("cold", "Antonym", "hot")),
        ],
        VOCABULARY,
    )
    assert (counts.edges, counts.concepts, counts.by_relation) == (
        2,
        4,
        {"Antonym": 1, "Desires": 1},
    )


def test_a_build_that_fails_leaves_the_old_base(tmp_path: Path) -> None:
    build_base(tmp_path, [BaseTriple(MEAT)], VOCABULARY)
    before = (tmp_path / BASE_FILE).read_bytes()

    def failing() -> object:
        yield BaseTriple(CARROTS)
        raise OSError("the reader broke")

    with pytest.raises(OSError, match="the reader broke"):
        build_base(tmp_path, failing(), VOCABULARY)  # type: ignore[arg-type]
    assert (tmp_path / BASE_FILE).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [BASE_FILE]


def test_a_newer_base_is_refused(tmp_path: Path) -> None:
    build_base(tmp_path, [BaseTriple(MEAT)], VOCABULARY)
    with sqlite3.connect(tmp_path / BASE_FILE) as connection:
        connection.execute(sql.PUT_META, ("schema_version", "99"))
    with pytest.raises(StoreUnusable, match="newer version"):
        SqliteStore(tmp_path, VOCABULARY)
