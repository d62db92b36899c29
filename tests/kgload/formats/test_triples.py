"""One's own triples: the ways to write them, and relations of one's own."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from server import assemble
from server.graph.relation import Vocabulary
from server.graph.triple import Triple, verbalize
from server.settings import Settings
from server.stores.sqlite.base import BASE_FILE
from tests.conformance.graph_store import VOCABULARY
from tests.kgload.dumps import DECLARED, OWN_TRIPLES, content, edges, load

COMPANY = {
    ("pump 7", "suppliedBy", "acme ltd"),
    ("pump 7", "IsA", "pump"),
    ("acme ltd", "AtLocation", "bern, switzerland"),
}


def settings_of(data: Path) -> Settings:
    return Settings(data=data)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", OWN_TRIPLES)
def test_triples_are_read_however_they_are_written(name: str, tmp_path: Path, data: Path) -> None:
    (tmp_path / name).write_text(OWN_TRIPLES[name], encoding="utf-8")
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


def test_a_declared_relation_is_said_in_its_own_words_by_the_server(
    tmp_path: Path, data: Path
) -> None:
    (tmp_path / "graph.tsv").write_text(OWN_TRIPLES["graph.tsv"], encoding="utf-8")
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
    (tmp_path / "graph.tsv").write_text(OWN_TRIPLES["graph.tsv"], encoding="utf-8")
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
    (tmp_path / "graph.tsv").write_text(OWN_TRIPLES["graph.tsv"], encoding="utf-8")
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
