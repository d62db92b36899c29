"""The base's file: what is refused in its place."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from server.errors import DataLoss, StoreUnusable
from server.stores.sqlite import sql
from server.stores.sqlite.base import BASE_FILE, BaseReader
from server.stores.sqlite.store import SqliteStore
from testbed.bases import BaseTriple, build_base
from tests.conformance.graph_store import DOG, MEAT, VOCABULARY, t


def test_a_newer_base_is_refused(tmp_path: Path) -> None:
    build_base(tmp_path, [BaseTriple(MEAT)], VOCABULARY)
    with sqlite3.connect(tmp_path / BASE_FILE) as connection:
        connection.execute(sql.PUT_META, ("schema_version", "99"))
    with pytest.raises(StoreUnusable, match="newer version"):
        SqliteStore(tmp_path, VOCABULARY)


def test_a_file_without_a_schema_version_is_not_a_base(tmp_path: Path) -> None:
    build_base(tmp_path, [BaseTriple(MEAT)], VOCABULARY)
    with sqlite3.connect(tmp_path / BASE_FILE) as connection:
        connection.execute("DELETE FROM meta")
    with pytest.raises(DataLoss, match="no schema version"):
        BaseReader(tmp_path / BASE_FILE)


def test_a_missing_file_is_an_empty_base(tmp_path: Path) -> None:
    reader = BaseReader(tmp_path / BASE_FILE)
    assert (reader.fingerprint, reader.relations) == ("", {})
    assert reader.concepts(["dog"]) == {}
    assert reader.slices(DOG, 9) == {}
    assert list(reader.edges_from(DOG, (0, 0, 0), 9)) == []
    reader.close()


def test_edges_are_read_on_from_any_place(tmp_path: Path) -> None:
    triples = [t("dog", "HasA", f"part {n}") for n in range(3)]
    triples += [t("dog", "Antonym", text) for text in ("ant", "cat", "emu")]
    build_base(tmp_path, [BaseTriple(triple) for triple in triples], VOCABULARY)
    reader = BaseReader(tmp_path / BASE_FILE)
    whole = list(reader.edges_from(DOG, (0, 0, 0), 9))
    assert {edge.triple for edge, _ in whole} == set(triples)
    for number, (_, place) in enumerate(whole, start=1):
        assert list(reader.edges_from(DOG, place, 9)) == whole[number:]
    reader.close()
