"""Bases of triples in memory: the same content as Python works out, at once or again."""

from __future__ import annotations

import random
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgload import small
from kgload.small import BaseTriple, build_base
from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.sqlite.base import BASE_FILE, BaseReader
from testbed import bases
from tests.kgload.dumps import content
from tests.kgload.reference import content_of, micro, row_digest

VOCABULARY = Vocabulary.built_in()
TEXTS = ["dog", "Dog", "pet", "hot", "cold", "naïve café", "犬", 'say "hi"', "o'brien's", "a;b--c"]
RELATIONS = ["IsA", "Antonym", "Synonym", "FormOf", "dbpedia/genre", "is the boss of"]
TRIPLES = st.lists(
    st.builds(
        BaseTriple,
        st.builds(
            Triple.of, st.sampled_from(TEXTS), st.sampled_from(RELATIONS), st.sampled_from(TEXTS)
        ),
        st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 2.25]),
        st.sampled_from(["", "/d/a", "/d/b"]),
        st.sampled_from(["", "cc0"]),
    ),
    max_size=30,
)

MEAT, CARROTS = Triple.of("dog", "Desires", "meat"), Triple.of("dog", "Desires", "carrots")


def without_indexes(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    return {name: rows for name, rows in content(folder).items() if name != "indexes"}


@settings(max_examples=25, deadline=None)
@given(triples=TRIPLES)
def test_a_base_holds_what_python_works_out(
    triples: list[BaseTriple], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("base")
    counts = build_base(folder, triples, VOCABULARY)
    expected = content_of(triples, VOCABULARY)
    assert without_indexes(folder) == expected
    assert [(counts.fingerprint,)] == expected["fingerprint"]
    assert (counts.concepts, counts.edges) == (len(expected["concepts"]), len(expected["edges"]))
    assert counts.by_relation == {name: edges for name, _, edges in expected["relations"]}


def test_the_fingerprint_is_what_it_always_was(tmp_path: Path) -> None:
    triples = [
        BaseTriple(Triple.of("dog", "Desires", "meat"), 4.0, "/d/test", "cc0"),
        BaseTriple(Triple.of("dog", "Desires", "bones"), 2.5),
        BaseTriple(Triple.of("hot", "Antonym", "cold"), -1.0),
        BaseTriple(Triple.of("cold", "Antonym", "hot"), 3.0),
        BaseTriple(Triple.of("Ann", "is the boss of", "Bob")),
    ]
    assert build_base(tmp_path / "some", triples, VOCABULARY).fingerprint == "0fea92df4b6c8528"
    assert build_base(tmp_path / "none", [], VOCABULARY).fingerprint == "60e05bd1b195af2f"


def test_concepts_keep_the_keys_that_they_have(tmp_path: Path) -> None:
    old = Triple(Concept("o\u2019hara", "O\u2019Hara"), "AtLocation", Concept.of("pub"))
    build_base(tmp_path, [BaseTriple(old)], VOCABULARY)
    assert [key for _, key, _, _ in content(tmp_path)["concepts"]] == ["o\u2019hara", "pub"]


def test_text_of_any_kind_is_kept_as_it_is(tmp_path: Path) -> None:
    source = 'tab\t, comma, "quote" and\nline'
    triples = [BaseTriple(Triple.of('a,"b"\u2028c', "IsA", "x\\y\x01z"), 1.0, source, "'")]
    build_base(tmp_path, triples, VOCABULARY)
    assert without_indexes(tmp_path) == content_of(triples, VOCABULARY)


def test_a_triple_that_no_store_takes_changes_nothing(tmp_path: Path) -> None:
    build_base(tmp_path, [BaseTriple(Triple.of("dog", "IsA", "pet"))], VOCABULARY)
    before = (tmp_path / BASE_FILE).read_bytes()
    with pytest.raises(ValueError, match="1 triples have a relation"):
        build_base(tmp_path, [BaseTriple(Triple.of("dog", "--", "pet"))], VOCABULARY)
    assert (tmp_path / BASE_FILE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [BASE_FILE]


def test_a_base_is_for_its_owner_only_and_says_nothing_of_a_file(tmp_path: Path) -> None:
    build_base(tmp_path / "own", [BaseTriple(Triple.of("dog", "IsA", "pet"))], VOCABULARY)
    assert stat.S_IMODE((tmp_path / "own" / BASE_FILE).stat().st_mode) == 0o600
    reader = BaseReader(tmp_path / "own" / BASE_FILE)
    assert (reader.meta("source"), reader.meta("declared")) == ("", "")
    reader.close()


def test_a_base_for_tests_is_built_once_and_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    triples = [BaseTriple(Triple.of("dog", "IsA", f"pet {random.random()}"))]
    first = bases.build_base(tmp_path / "a", triples, VOCABULARY)
    monkeypatch.setattr(small, "build_base", lambda *_: pytest.fail("built again"))
    assert bases.build_base(tmp_path / "b", triples, VOCABULARY) == first
    assert content(tmp_path / "b") == content(tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "b" / BASE_FILE).stat().st_mode) == 0o600
    with pytest.raises(pytest.fail.Exception):
        bases.build_base(tmp_path / "c", [*triples, *triples], VOCABULARY)


def test_the_same_triples_make_the_same_fingerprint_in_any_order(tmp_path: Path) -> None:
    triples = [BaseTriple(MEAT, 4.0), BaseTriple(Triple.of("hot", "Antonym", "cold"), 1.0)]
    first = build_base(tmp_path / "a", triples, VOCABULARY)
    second = build_base(tmp_path / "b", reversed(triples), VOCABULARY)
    other = build_base(tmp_path / "c", [BaseTriple(MEAT, 3.0)], VOCABULARY)
    assert first.fingerprint == second.fingerprint != other.fingerprint


def test_triples_given_twice_are_one_with_the_highest_weight(tmp_path: Path) -> None:
    counts = build_base(
        tmp_path,
        [
            BaseTriple(MEAT, 1.0),
            BaseTriple(Triple.of("Dog", "Desires", "MEAT"), 5.0),
            BaseTriple(Triple.of("hot", "Antonym", "cold")),
            BaseTriple(Triple.of("cold", "Antonym", "hot")),
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


def test_a_digest_is_the_md5_of_the_columns() -> None:
    digest = bytes.fromhex("bf2adcc952eef76040dc85b937965876")  # printf 1,dog | md5sum
    assert row_digest(1, "dog") == int.from_bytes(digest, "little")


def test_a_weight_is_compared_in_millionths() -> None:
    assert [micro(weight) for weight in (1.0, 0.1 + 0.2, 2.4999999)] == [
        1_000_000,
        300_000,
        2_500_000,
    ]
