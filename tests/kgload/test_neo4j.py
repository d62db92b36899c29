"""python -m kgload into a real Neo4j: what the embedded store would read is read from the graph."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kgload.__main__ import main
from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.stores.neo4j import Neo4jStore
from server.stores.neo4j_connection import Neo4jLogin
from server.stores.sqlite import SqliteStore
from tests.neo4j.database import Database

VOCABULARY = Vocabulary.built_in()
HEADS = ("dog", "cat", "coffee", "rain", "bicycle", "kitchen", "doctor", "winter", "book", "no such thing")


@pytest.fixture
def login(neo4j_database: Database, monkeypatch: pytest.MonkeyPatch) -> Neo4jLogin:
    login = neo4j_database.login
    for name, value in (("STORE", login.url), ("NEO4J_USER", login.user), ("NEO4J_PASSWORD", login.password)):
        monkeypatch.setenv(f"KGT_{name}", value)
    return login


def test_the_starter_graph_reads_as_in_the_embedded_store(
    login: Neo4jLogin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["starter", "--replace"]) == 0
    assert main(["starter", "--store", "sqlite", "--data", str(tmp_path)]) == 0
    assert main(["starter"]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.split(" in ")[0] == second.split(" in ")[0], "counts and fingerprint"
    assert third.endswith("(as it was)")
    assert login.password not in first

    async def compared() -> None:
        graph, embedded = await Neo4jStore.open(login, VOCABULARY), SqliteStore(tmp_path, VOCABULARY)
        for head in HEADS:
            concept = Concept.of(head)
            assert await graph.neighborhood("x", concept, 3) == await embedded.neighborhood("x", concept, 3)
        keys = [h.casefold() for h in HEADS]
        assert await graph.look_up("x", keys) == await embedded.look_up("x", keys)
        await graph.close()
        await embedded.close()

    asyncio.run(compared())


@pytest.mark.usefixtures("login")
def test_another_base_needs_replace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["starter", "--replace"])
    file = tmp_path / "own.tsv"
    file.write_text("IsA\tzebra\tanimal\nnot a triple\n")
    assert main(["triples", str(file), "--columns", "relation,head,tail"]) == 2
    assert "--replace" in capsys.readouterr().err
    assert main(["triples", str(file), "--columns", "relation,head,tail", "--replace"]) == 0
    assert "1 triples, 2 concepts, 1 relations, 1 bad lines" in capsys.readouterr().out


def test_a_login_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("KGT_NEO4J_USER", raising=False)
    assert main(["starter", "--store", "bolt://127.0.0.1:7687"]) == 2
    assert "KGT_NEO4J_USER" in capsys.readouterr().err
