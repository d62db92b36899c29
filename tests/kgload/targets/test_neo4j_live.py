"""python -m kgload into a real Neo4j: what the embedded store would read is read from the graph."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from kgload.__main__ import main
from server import assemble
from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.settings import read_settings
from server.stores.neo4j.connection import Neo4jLogin
from server.stores.neo4j.store import Neo4jStore
from server.stores.sqlite.store import SqliteStore
from testbed.neo4j import Database
from tests.conformance.graph_store import add
from tests.kgload import graphs

VOCABULARY = Vocabulary.built_in()
DECLARED = """
[[relation]]
name = "suppliedBy"
phrases = ["is supplied by"]

[[relation]]
name = "worksBeside"
phrases = ["works beside"]
symmetric = true
"""
PAIR = (("dog", "cat"), ("cat", "dog"))
HEADS = (
    "dog",
    "cat",
    "coffee",
    "rain",
    "bicycle",
    "kitchen",
    "doctor",
    "winter",
    "book",
    "no such thing",
)


@pytest.fixture
def login(neo4j_database: Database, monkeypatch: pytest.MonkeyPatch) -> Neo4jLogin:
    login = neo4j_database.login
    for name, value in (
        ("STORE", login.url),
        ("NEO4J_USER", login.user),
        ("NEO4J_PASSWORD", login.password),
    ):
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
    graphs = [
        line for text in printed for line in text.splitlines() if line.startswith("base graph ")
    ]
    assert len(set(graphs)) == 1, "counts and fingerprint"
    assert "holds this graph already" in printed[2]
    assert printed[3] == ""
    assert login.password not in "".join(printed)

    async def compared() -> None:
        graph, embedded = (
            await Neo4jStore.open(login, VOCABULARY),
            SqliteStore(tmp_path, VOCABULARY),
        )
        for head in HEADS:
            concept = Concept.of(head)
            assert await graph.neighborhood("x", concept, 3) == await embedded.neighborhood(
                "x", concept, 3
            )
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


def test_real_concepts_go_into_the_graph_as_the_file_says(
    login: Neo4jLogin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = graphs.real(tmp_path / "dump.csv")
    command = [
        "conceptnet",
        str(file),
        "--language",
        "all",
        "--data",
        str(tmp_path),
        "--memory",
        "512MB",
        "--replace",
    ]
    assert main(command) == 0
    assert main([*command, "--store", "sqlite"]) == 0
    assert graphs.said_of(login, "dog", "IsA", "animal") == [
        (3.0, "[[a dog]] is an [[animal]]; truly, so", 3)
    ]
    assert graphs.said_of(login, "self", "RelatedTo", "self") == [(1.0, None, 1)]
    assert graphs.said_of(login, "dog", "UnheardOf", "bone") == [(1.0, None, 1)]
    languages = {row["uri"]: row["language"] for row in graphs.content(login)["concepts"]}
    assert {languages[u] for u in ("собака", "犬", "كلب", "dog")} == {"ru", "zh", "ar", "en"}
    assert (
        len([row for row in graphs.content(login)["edges"] if (row["head"], row["tail"]) in PAIR])
        == 10
    )

    async def compared() -> None:
        graph, embedded = (
            await Neo4jStore.open(login, VOCABULARY),
            SqliteStore(tmp_path, VOCABULARY),
        )
        try:
            assert graph.base_fingerprint == embedded.base_fingerprint
            for text in (
                "dog",
                "o'brien's dog",
                "self",
                "7 up",
                "犬",
                "собака",
                "x" * 300,
                "\ufdfa" * 15,
                "cat",
            ):
                concept = Concept.of(text)
                view = await graph.neighborhood("x", concept, 30)
                assert view == await embedded.neighborhood("x", concept, 30)
                assert view.count
        finally:
            await graph.close()
            await embedded.close()

    asyncio.run(compared())
    capsys.readouterr()
    assert main(["verify", "--data", str(tmp_path), "--memory", "512MB"]) == 0
    assert "the store has what the file says" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            "MATCH ({uri: 'dog'})-[r:IsA]->({uri: 'animal'}) DELETE r",
            "(dog, IsA, animal) is not in the store",
        ),
        ("MATCH ()-[r:CUSTOM]->() SET r.relation = 'Else'", "Else: 0 edges in the file"),
        (
            "MATCH ({uri: 'dog'})-[r:IsA]->({uri: 'animal'}) SET r.surface_text = ''",
            "(dog, IsA, animal) has another",
        ),
        (
            "MATCH (d {uri: 'dog'})-[r:IsA]->(a {uri: 'animal'})"
            " CREATE (d)-[c:IsA]->(a) SET c = properties(r)",
            "(dog, IsA, animal) is in the store 2 times",
        ),
        ("CREATE (:Concept {uri: 'more', text: 'more'})", "concepts in the file"),
    ],
)
def test_verify_tells_what_differs_in_the_graph(
    change: str,
    complaint: str,
    login: Neo4jLogin,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = graphs.real(tmp_path / "dump.csv")
    graphs.empty(login)
    assert (
        main(
            [
                "conceptnet",
                str(file),
                "--language",
                "all",
                "--data",
                str(tmp_path),
                "--memory",
                "512MB",
            ]
        )
        == 0
    )
    graphs.rows(login, change)
    capsys.readouterr()
    assert main(["verify", "--data", str(tmp_path), "--memory", "512MB"]) == 1
    assert complaint in capsys.readouterr().out
    graphs.empty(login)


def test_stats_shows_the_same_of_either_store(
    login: Neo4jLogin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graphs.empty(login)
    file = graphs.real(tmp_path / "dump.csv")
    command = [
        "conceptnet",
        str(file),
        "--language",
        "all",
        "--data",
        str(tmp_path),
        "--memory",
        "512MB",
    ]
    assert main(command) == 0
    assert main([*command, "--store", "sqlite"]) == 0

    async def edited() -> None:
        store = await Neo4jStore.open(login, VOCABULARY)
        for user in ("ann", "ben"):
            for n in range(30):
                await add(store, user, Triple.of("bone", "RelatedTo", f"{user} {n}"))
        await store.close()

    asyncio.run(edited())
    capsys.readouterr()
    found = []
    for store in (login.url, "sqlite"):
        assert main(["stats", "--json", "--data", str(tmp_path), "--store", store]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert (found[0].pop("users"), found[0].pop("edits")) == (2, 60)
    assert (found[1].pop("users"), found[1].pop("edits")) == (0, 0)
    hubs = [one.pop("hubs") for one in found]
    assert found[0] == found[1]
    assert list(hubs[0].items())[:3] == list(hubs[1].items())[:3]
    assert sorted(hubs[0].values()) == sorted(hubs[1].values()), "users' edges do not count"
    graphs.empty(login)


def test_a_graph_without_a_base_says_what_to_do(
    login: Neo4jLogin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graphs.empty(login)
    for command in ("verify", "stats"):
        assert main([command, "--data", str(tmp_path)]) == 2
        assert "python -m kgload starter" in capsys.readouterr().err


def test_a_declared_relation_is_said_in_its_own_words_by_a_server_on_the_graph(
    login: Neo4jLogin, tmp_path: Path
) -> None:
    (tmp_path / "own.tsv").write_text(
        "pump 7\tsuppliedBy\tACME\npump 7\tworksBeside\tmixer\npump 7\tIsA\tpump\n"
    )
    (tmp_path / "own.toml").write_text(DECLARED, encoding="utf-8")
    command = [
        "triples",
        str(tmp_path / "own.tsv"),
        "--declare",
        str(tmp_path / "own.toml"),
        "--replace",
    ]
    assert main([*command, "--data", str(tmp_path)]) == 0
    settings = read_settings([])

    async def asked() -> None:
        relations = await assemble.vocabulary(settings)
        assert relations.get("suppliedBy").phrase == "is supplied by"
        assert relations.is_symmetric("worksBeside")
        store = await assemble.open_store(settings, relations)
        view = await store.neighborhood("x", Concept.of("mixer"), 9)
        assert [v.triple.tail.text for v in view.slice("worksBeside").triples] == ["pump 7"], (
            "read from both ends"
        )
        await store.close()

    asyncio.run(asked())
    assert main(["verify", "--data", str(tmp_path)]) == 0
    graphs.empty(login)
