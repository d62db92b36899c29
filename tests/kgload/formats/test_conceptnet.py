"""ConceptNet's dump: what is kept of it, and how it is merged."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgload.__main__ import main
from tests.kgload.dumps import HEAVY, content, dump, edges, line, load


def test_a_line_is_an_edge_with_its_weight_dataset_and_licence(file: Path, data: Path) -> None:
    dump(file, [line("IsA", "hot_dog", "sausage_sandwich", 3.46)])
    assert load("conceptnet", file, data=data) == 0
    (edge,) = content(data)["edges"]
    assert edge == (
        "hot dog",
        "IsA",
        0,
        0,
        "sausage sandwich",
        3.46,
        "/d/conceptnet/4/en",
        "cc:by/4.0",
        1,
    )


def test_senses_are_merged_and_the_heaviest_gives_weight_and_source(file: Path, data: Path) -> None:
    dump(
        file,
        [
            line("IsA", "dog", "pet"),
            line("IsA", "dog/n", "pet/n/wn/animal", **HEAVY),
            line("IsA", "dog", "pet/n"),
        ],
    )
    load("conceptnet", file, data=data)
    (edge,) = content(data)["edges"]
    assert edge[4:] == ("pet", 2.5, "/d/wiktionary/en", "cc:by-sa/4.0", 3)


def test_senses_can_be_kept_apart(file: Path, data: Path) -> None:
    dump(file, [line("IsA", "dog", "pet"), line("IsA", "dog/n/wn/animal", "pet")])
    load("conceptnet", file, "--no-merge-senses", data=data)
    assert edges(data) == {("dog", "IsA", "pet"), ("dog (n wn animal)", "IsA", "pet")}


def test_a_symmetric_statement_is_stored_once(file: Path, data: Path) -> None:
    dump(
        file,
        [
            line("Antonym", "hot", "cold"),
            line("Antonym", "cold", "hot", 2.0),
            line("IsA", "hot", "cold"),
        ],
    )
    load("conceptnet", file, data=data)
    assert edges(data) == {("cold", "Antonym", "hot"), ("hot", "IsA", "cold")}


def test_forms_and_negated_relations_stay_themselves(file: Path, data: Path) -> None:
    dump(
        file,
        [
            line("FormOf", "dogs", "dog"),
            line("NotDesires", "dog", "bath"),
            line("dbpedia/genre", "abba", "pop"),
        ],
    )
    load("conceptnet", file, data=data)
    assert {r for _, r, _ in edges(data)} == {"FormOf", "NotDesires", "dbpedia/genre"}


def test_external_links_are_left_out_and_counted(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(
        file,
        [line("IsA", "dog", "pet"), line("ExternalURL", "dog", "http://dbpedia.org/resource/Dog")],
    )
    load("conceptnet", file, data=data)
    assert edges(data) == {("dog", "IsA", "pet")}
    assert "ExternalURL\t1\t0" in capsys.readouterr().out


def test_external_links_can_be_taken(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        line("IsA", "dog", "pet"),
        line("ExternalURL", "dog/n", "http://dbpedia.org/resource/Big_Dog"),
        line("ExternalURL", "/c/fr/chien", "https://fr.dbpedia.org/resource/Chien"),
        line("ExternalURL", "dog", "/c/en/no_link"),
        line("ExternalURL", "dog", "http://" + "x" * 520),
    ]
    assert load("conceptnet", dump(file, lines), "--external-urls", data=data) == 0
    link = ("dog", "ExternalURL", "http://dbpedia.org/resource/big%5fdog")
    assert edges(data) == {("dog", "IsA", "pet"), link}
    assert "http://dbpedia.org/resource/Big%5FDog" in [
        text for _, _, text, _ in content(data)["concepts"]
    ]
    out, err = capsys.readouterr()
    assert "rejected\t2" in out
    assert "left out: --language\t1" in out
    assert "line 4: '/c/en/no_link' is not an address (http://...)" in err
    assert "line 5: the concept is longer than 512 bytes" in err
    assert load("conceptnet", file, data=data) == 2, "what other options make is another base"
    assert main(["verify", "--data", str(data)]) == 0


def test_both_ends_must_be_in_the_languages_asked_for(file: Path, data: Path) -> None:
    lines = [
        line("Synonym", "dog", "/c/fr/chien"),
        line("IsA", "dog", "pet"),
        line("IsA", "/c/fr/chien", "/c/fr/animal"),
    ]
    dump(file, lines)
    load("conceptnet", file, data=data)
    assert edges(data) == {("dog", "IsA", "pet")}
    load("conceptnet", file, "--language", "en,fr", "--replace", data=data)
    assert len(edges(data)) == 3
    load("conceptnet", file, "--language", "fr", "--replace", data=data)
    assert edges(data) == {("chien", "IsA", "animal")}
    load("conceptnet", file, "--language", "all", "--replace", data=data)
    assert len(edges(data)) == 3


def test_weights_and_relations_filter(file: Path, data: Path) -> None:
    dump(
        file,
        [
            line("IsA", "a1", "b1", 0.5),
            line("IsA", "a2", "b2", 2.0),
            line("UsedFor", "a3", "b3", 2.0),
        ],
    )
    load("conceptnet", file, "--min-weight", "1", "--relations", "IsA", data=data)
    assert edges(data) == {("a2", "IsA", "b2")}


def test_the_attribution_is_printed(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(file, [line("IsA", "dog", "pet")])
    load("conceptnet", file, data=data)
    assert "CC BY-SA 4.0" in capsys.readouterr().out
