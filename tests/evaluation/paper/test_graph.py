from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from evaluation.methods.method import EditCase
from evaluation.paper.graph import BASES, load, rows_of
from evaluation.paper.pararel import ParaRel
from server.errors import StoreUnusable
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.settings import Settings
from server.stores.sqlite.base import BASE_FILE, BaseReader
from testbed.bases import BaseTriple
from testbed.neo4j import Database
from testbed.neo4j.graphs import fill

ROWS = [("Ann", "place of birth", "Rome", 1.0), ("dog", "Desires", "meat", 2.0)]
CASES = [
    EditCase("0", "Ann", "Ann was born in", "Oslo", "Rome", "P19"),
    EditCase("1", "Bob", "Bob, of", "Oslo", "Rome"),
]


def triples(settings: Settings) -> int:
    reader = BaseReader(settings.data / BASE_FILE)
    try:
        return reader.counts().edges
    finally:
        reader.close()


@pytest.mark.parametrize("base", BASES)
def test_a_base_graph_has_what_its_name_says(base: str, data: Path) -> None:
    rows = list(rows_of(base, data, CASES, ParaRel(data)))
    assert ("dog", "Desires", "meat", 4.0) in rows, "the starter graph, with its weights"
    assert (("yak", "Desires", "grass", 1.0) in rows) == (base == "conceptnet")
    assert (("Ann", "place of birth", "Rome", 1.0) in rows) == (base == "truth")
    assert not any(head == "Bob" for head, *_ in rows), "nobody knows the relation"


def test_the_runs_own_store_gets_the_graph_that_is_asked_for(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "store")
    for rows in (ROWS, ROWS, ROWS[:1]):
        load(rows, tmp_path / "base.tsv", settings)
        assert triples(settings) == len(rows)


def test_a_neo4j_with_another_graph_is_left_as_it_is(
    neo4j_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = neo4j_database.login
    monkeypatch.setenv("KGT_NEO4J_USER", login.user)
    monkeypatch.setenv("KGT_NEO4J_PASSWORD", login.password)
    theirs = [BaseTriple(Triple.of("cat", "Desires", "fish"))]
    asyncio.run(fill(login, theirs, Vocabulary.built_in(), tmp_path))
    settings = Settings(store=login.url, data=tmp_path)
    with pytest.raises(StoreUnusable, match="does not replace"):
        load(ROWS, tmp_path / "base.tsv", settings)
