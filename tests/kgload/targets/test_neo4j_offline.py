"""Loads into a Neo4j that is not running: CSV files, and neo4j-admin where it is found."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from kgload.__main__ import main
from kgload.targets.neo4j_offline import SCRIPT
from server.graph.concept import Concept
from server.stores.neo4j.store import Neo4jStore
from server.stores.sqlite.store import SqliteStore
from testbed.neo4j import JAVA, POMS, ProcessNeo4j, Unobtainable, find_java, jars
from tests.conformance.graph_store import VOCABULARY
from tests.kgload import graphs
from tests.kgload.dumps import dump, line

LINES = [
    line("IsA", "dog", "pet", 2.0),
    line("IsA", "dog/n", "animal", 3.0),
    line("Antonym", "hot", "cold"),
    line("Antonym", "cold", "warm", 2.0),
    line("RelatedTo", "self", "self"),
    line("IsA", 'say_"hi",_o\'brien', "犬"),
    line("dbpedia/genre", "abba", "pop"),
    line("UnheardOf", "dog", "x" * 300),
]
HEADS = (
    "dog", "hot", "cold", "warm", "self", 'say "hi", o\'brien', "abba", "o'brien's dog", "7 up",
    "собака", "犬", "cat", "x" * 300, "\ufdfa" * 15,
)  # fmt: skip


def command(tmp_path: Path, home: Path, lines: Sequence[str] = LINES) -> list[str]:
    file = dump(tmp_path / "dump.csv", lines)
    where = ["--offline", str(home), "--data", str(tmp_path / "data"), "--memory", "512MB"]
    return ["conceptnet", str(file), "--language", "all", *where]


def test_without_the_tool_the_files_are_written_and_the_command_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr("kgload.targets.neo4j_offline.find_tool", lambda home, limits: None)
    assert main(command(tmp_path, home)) == 0
    script = home / "import" / "kgload" / SCRIPT
    assert f"sh {script}" in capsys.readouterr().out
    assert "\nneo4j-admin database import full neo4j" in script.read_text()
    written = (home / "import" / "kgload" / "edges.csv").read_text(encoding="utf-8").splitlines()
    assert len(written) == len(LINES)
    assert sum(",CUSTOM," in row for row in written) == 1


@pytest.mark.parametrize("kept_in", ["data/databases/neo4j", "data/transactions/neo4j"])
def test_a_database_that_is_there_is_refused(
    kept_in: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    (home / kept_in).mkdir(parents=True)
    (home / kept_in / "neostore").write_bytes(b"x")
    assert main(command(tmp_path, home)) == 2
    assert "--store neo4j://" in capsys.readouterr().err
    assert (home / kept_in / "neostore").read_bytes() == b"x"
    assert not (home / "import").exists()


def test_an_imported_database_reads_as_the_embedded_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        lib = jars(POMS["lts"])
    except Unobtainable as reason:
        pytest.skip(str(reason))
    java = find_java(JAVA["lts"])
    if java is None:
        pytest.skip("needs Java 17 for neo4j-admin")
    home = tmp_path / "home"
    database = ProcessNeo4j(home, java, lib)
    (home / "lib").symlink_to(lib)
    lines = [*graphs.REAL, *LINES]
    assert main(command(tmp_path, home, lines)) == 0, capsys.readouterr().err
    embedded = ["--data", str(tmp_path / "embedded"), "--store", "sqlite"]
    assert main(["conceptnet", str(tmp_path / "dump.csv"), "--language", "all", *embedded]) == 0
    assert main(command(tmp_path, home, lines)) == 2, "a second import would destroy it"
    database.start()

    async def compared() -> None:
        graph = await Neo4jStore.open(database.login, VOCABULARY)
        embedded = SqliteStore(tmp_path / "embedded", VOCABULARY)
        try:
            assert graph.base_fingerprint == embedded.base_fingerprint
            for head in HEADS:
                concept = Concept.of(head)
                assert await graph.neighborhood("x", concept, 9) == await embedded.neighborhood(
                    "x", concept, 9
                )
            keys = [Concept.of(head).key for head in HEADS]
            assert await graph.look_up("x", keys) == await embedded.look_up("x", keys)
            assert await graph.check() == []
        finally:
            await graph.close()
            await embedded.close()

    try:
        asyncio.run(compared())
        login = database.login
        assert graphs.said_of(login, "dog", "IsA", "animal") == [
            (3.0, "[[a dog]] is an [[animal]]; truly, so", 4)
        ]
        assert graphs.said_of(login, "o'brien's dog", "IsA", "dog") == [
            (1.0, "[[O'Brien's dog]] is a [[\"dog\"]]", 1)
        ]
        languages = {row["uri"]: row["language"] for row in graphs.content(login)["concepts"]}
        assert {languages[u] for u in ("собака", "犬", "كلب", "dog")} == {"ru", "zh", "ar", "en"}
    finally:
        database.stop()
