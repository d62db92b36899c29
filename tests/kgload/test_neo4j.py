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
    printed = []
    for arguments in (
        ["starter", "--replace"],
        ["starter", "--store", "sqlite"],
        ["starter"],
        ["starter", "--if-empty"],
    ):
        assert main([*arguments, "--data", str(tmp_path)]) == 0
        printed.append(capsys.readouterr().out)
    graphs = [line for text in printed for line in text.splitlines() if line.startswith("base graph ")]
    assert len(set(graphs)) == 1, "counts and fingerprint"
    assert "holds this graph already" in printed[2]
    assert printed[3] == ""
    assert login.password not in "".join(printed)

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
    main(["starter", "--replace", "--data", str(tmp_path)])
    file = tmp_path / "own.tsv"
    file.write_text("IsA\tzebra\tanimal\nnot a triple\n")
    command = ["triples", str(file), "--columns", "relation,head,tail", "--data", str(tmp_path)]
    assert main(command) == 2
    assert "--replace" in capsys.readouterr().err
    assert main([*command, "--replace"]) == 0
    out = capsys.readouterr().out
    assert "1 triples, 2 concepts" in out
    assert "rejected\t1" in out


def test_a_login_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KGT_NEO4J_USER", raising=False)
    assert main(["starter", "--store", "bolt://127.0.0.1:7687", "--data", str(tmp_path)]) == 2
    assert "KGT_NEO4J_USER" in capsys.readouterr().err
