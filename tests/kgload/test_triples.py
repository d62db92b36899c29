"""One's own triples as the base: the ways to write them, relations of one's own, and what `verify`
and `stats` say."""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
from pathlib import Path

import pytest

from bench.generate import generate
from kgload.__main__ import main
from server import assemble
from server.graph.relation import Vocabulary
from server.graph.triple import Triple, verbalize
from server.settings import Settings
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.store import SqliteStore
from tests.conformance.graph_store import VOCABULARY, add, t
from tests.kgload.dumps import content, dump, edges, line, load

COMPANY = {
    ("pump 7", "suppliedBy", "acme ltd"),
    ("pump 7", "IsA", "pump"),
    ("acme ltd", "AtLocation", "bern, switzerland"),
}

WRITTEN = {
    "graph.tsv": "Pump 7\tsuppliedBy\tACME Ltd\npump_7\tIsA\tpump\nacme ltd\tAtLocation\tBern, Switzerland\n",
    "graph.csv": 'Pump 7,suppliedBy,ACME Ltd\r\npump_7,IsA,pump\r\n\r\nacme ltd,AtLocation,"Bern, Switzerland"\r\n',
    "named.csv": 'relation,tail,head\nsuppliedBy,ACME Ltd,Pump 7\nIsA,pump,pump_7\nAtLocation,"Bern, Switzerland",acme ltd\n',
    "graph.jsonl": '{"head": "Pump 7", "relation": "suppliedBy", "tail": "ACME Ltd", "weight": null}\n'
    '["pump_7", "IsA", "pump"]\n{"head": "acme ltd", "relation": "AtLocation", "tail": "Bern, Switzerland", "x": 1}\n',
}
DECLARED = """
[[relation]]
name = "suppliedBy"
phrases = ["is supplied by", "comes from the supplier"]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def settings_of(data: Path) -> Settings:
    return Settings(data=data)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", WRITTEN)
def test_triples_are_read_however_they_are_written(name: str, tmp_path: Path, data: Path) -> None:
    (tmp_path / name).write_text(WRITTEN[name], encoding="utf-8")
    assert load("triples", tmp_path / name, data=data) == 0
    assert edges(data) == COMPANY
    texts = {key: text for _, key, text, _ in content(data)["concepts"]}
    assert (texts["acme ltd"], texts["pump 7"]) == ("ACME Ltd", "Pump 7")


def test_columns_weights_and_gzip(tmp_path: Path, data: Path) -> None:
    file = tmp_path / "graph.tsv.gz"
    file.write_bytes(gzip.compress(b"IsA\tdog\t2.5\tpet\nIsA\tcat\t\tpet\n"))
    assert load("triples", file, "--columns", "relation,head,weight,tail", data=data) == 0
    assert {(e[0], e[5]) for e in content(data)["edges"]} == {("dog", 2.5), ("cat", 1.0)}
    assert load("triples", file, "--columns", "relation,head", "--replace", data=data) == 2


BAD = [
    ("x.tsv", "dog\tIsA", "has 2 columns, not 3"),
    ("x.tsv", "dog\tIsA\t ", "the tail is empty"),
    ("x.tsv", "dog\tIsA\t" + "x" * 513, "longer than 512 bytes"),
    ("x.csv", 'dog,IsA,"pet', "is not CSV"),
    ("x.csv", "dog,IsA", "has 2 columns, not 3"),
    ("x.jsonl", '{"head": "dog", "relation": "IsA"}', "the tail is missing"),
    ("x.jsonl", '{"head": 1, "relation": "IsA", "tail": "pet"}', "the head is missing or not text"),
    ("x.jsonl", '["dog", "IsA", "pet", ', "is not JSON"),
    ("x.jsonl", '"dog"', "neither a JSON object nor a list"),
    (
        "x.jsonl",
        '{"head": "dog", "relation": "IsA", "tail": "pet", "weight": "1"}',
        "is not a number",
    ),
    ("x.jsonl", r'{"head": "dog\ud800", "relation": "IsA", "tail": "pet"}', "half a character"),
]


@pytest.mark.parametrize(("name", "bad", "reason"), BAD)
def test_a_bad_line_is_named(name: str, bad: str, reason: str, tmp_path: Path, data: Path) -> None:
    good = {"x.tsv": "cat\tIsA\tpet", "x.csv": "cat,IsA,pet", "x.jsonl": '["cat", "IsA", "pet"]'}[
        name
    ]
    (tmp_path / name).write_text(f"{good}\n{bad}\n", encoding="utf-8")
    assert load("triples", tmp_path / name, data=data) == 0
    assert edges(data) == {("cat", "IsA", "pet")}
    number, why, _ = (data / "rejects.tsv").read_text(encoding="utf-8").split("\t", 2)
    assert number == "2"
    assert reason in why


def test_the_starter_graph_loads_and_stays(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("starter", data=data) == 0
    before = content(data)
    assert len(before["edges"]) > 3000
    capsys.readouterr()
    assert load("starter", "--if-empty", data=data) == 0
    assert load("starter", data=data) == 0
    assert "already" in capsys.readouterr().out
    assert content(data) == before


# Relations of one's own


def test_a_declared_relation_is_said_in_its_own_words_by_the_server(
    tmp_path: Path, data: Path
) -> None:
    (tmp_path / "graph.tsv").write_text(WRITTEN["graph.tsv"], encoding="utf-8")
    (tmp_path / "own.toml").write_text(DECLARED, encoding="utf-8")
    assert (
        load("triples", tmp_path / "graph.tsv", "--declare", tmp_path / "own.toml", data=data) == 0
    )
    vocabulary = asyncio.run(assemble.vocabulary(settings_of(data)))
    triple = Triple.of("pump 7", "suppliedBy", "ACME Ltd")
    assert verbalize(triple, vocabulary) == "pump 7 is supplied by ACME Ltd"
    assert vocabulary.relation_said("comes from the supplier") == "suppliedBy"
    assert vocabulary.phrase("IsA") == VOCABULARY.phrase("IsA")


def test_without_a_declaration_a_relation_is_said_by_its_name(tmp_path: Path, data: Path) -> None:
    (tmp_path / "graph.tsv").write_text(WRITTEN["graph.tsv"], encoding="utf-8")
    load("triples", tmp_path / "graph.tsv", data=data)
    assert asyncio.run(assemble.vocabulary(settings_of(data))).phrase("suppliedBy") == "suppliedBy"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("not toml", "not TOML"),
        ('[[relation]]\nname = "IsA"\nphrases = ["is what"]', "given to two relations"),
        ('[[relation]]\nname = "own"\nphrases = []', "at least one phrase"),
    ],
)
def test_a_declaration_that_contradicts_is_refused(
    text: str, complaint: str, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "graph.tsv").write_text(WRITTEN["graph.tsv"], encoding="utf-8")
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    assert (
        load("triples", tmp_path / "graph.tsv", "--declare", tmp_path / "own.toml", data=data) == 2
    )
    assert complaint in capsys.readouterr().err
    assert not (data / BASE_FILE).exists()


def test_an_extended_vocabulary_has_a_fingerprint_of_its_own() -> None:
    own = VOCABULARY.extended(DECLARED)
    assert own.fingerprint not in ("", Vocabulary.built_in().fingerprint)
    assert len(own) == len(VOCABULARY) + 1


# verify and stats


def test_verify_finds_the_store_as_the_file_says(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dump.csv"
    generate(file, 2500)
    load("conceptnet", file, "--min-weight", "0.5", data=data)
    moved = file.rename(tmp_path / "moved.csv")
    assert main(["verify", "--data", str(data)]) == 2, "the file is not where it was"
    assert main(["verify", str(moved), "--data", str(data)]) == 0
    assert "1,000 compared one by one" in capsys.readouterr().out
    assert [p.name for p in data.iterdir()] == [BASE_FILE]


def test_verify_works_for_triples_too(tmp_path: Path, data: Path) -> None:
    (tmp_path / "graph.jsonl").write_text(WRITTEN["graph.jsonl"], encoding="utf-8")
    (tmp_path / "own.toml").write_text(DECLARED, encoding="utf-8")
    load("triples", tmp_path / "graph.jsonl", "--declare", tmp_path / "own.toml", data=data)
    assert main(["verify", "--data", str(data)]) == 0


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (
            "DELETE FROM edges WHERE rank = 0 AND relation = (SELECT id FROM relations WHERE name = 'IsA')",
            "IsA:",
        ),
        ("UPDATE edges SET weight = weight + 1", "another weight"),
        ("UPDATE concepts SET key = key || 'x' WHERE id = 1", "is not in the store"),
        ("UPDATE meta SET value = 'ffff' WHERE key = 'fingerprint'", "fingerprints"),
    ],
)
def test_verify_tells_what_differs(
    damage: str, complaint: str, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = dump(
        tmp_path / "dump.csv", [line("IsA", "dog", "pet"), line("UsedFor", "dog", "hunting")]
    )
    load("conceptnet", file, data=data)
    with sqlite3.connect(data / BASE_FILE) as connection:
        connection.execute(damage)
    capsys.readouterr()
    assert main(["verify", "--data", str(data)]) == 1
    assert complaint in capsys.readouterr().out


async def test_stats_shows_what_the_store_holds(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line("IsA", f"pet{n}", "animal") for n in range(20)] + [
        line("UsedFor", "dog", "hunting")
    ]
    load("conceptnet", dump(tmp_path / "dump.csv", lines), data=data)
    store = SqliteStore(data, VOCABULARY)
    await add(store, "ann", t("dog", "Desires", "bones"))
    await store.close()
    capsys.readouterr()
    assert main(["stats", "--json", "--data", str(data)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["concepts"], found["edges"], found["users"], found["edits"]) == (23, 21, 1, 1)
    assert found["relations"] == {"IsA": 20, "UsedFor": 1}
    assert next(iter(found["hubs"].items())) == ("animal", 20)
    assert len(found["hubs"]) == 10
    assert main(["stats", "--data", str(data)]) == 0
    assert "animal\t20" in capsys.readouterr().out


def test_stats_of_nothing_says_what_to_do(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--data", str(data)]) == 2
    assert "kgload starter" in capsys.readouterr().err
