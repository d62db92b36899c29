"""Merging makes the concepts and edges that plain Python works out."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.generate import generate
from kgload import queries
from kgload.formats.conceptnet_lines import EXTERNAL, concept_text, conceptnet_fault, link_text
from kgload.lines import NoTriple, checked_concept
from kgload.merging import key_or_nothing, text_of
from server.graph.concept import Concept, concept_key
from server.graph.triple import Triple
from testbed.bases import BaseTriple
from testbed.processes import ROOT
from tests.conformance.graph_store import VOCABULARY
from tests.kgload.dumps import content, dump, line, load
from tests.kgload.reference import Rows, content_of

SAMPLE = ROOT.parent / "shared" / "data" / "conceptnet5-sample.csv"


def reference(lines: list[str]) -> Mapping[str, Rows]:
    """The content of the base of a dump's lines, worked out by Python."""
    triples = []
    for text in lines:
        assert conceptnet_fault(text, external_urls=True) == ""
        _, relation, start, end, metadata = text.split("\t")
        h, t = concept_text(start), link_text(end) if relation == EXTERNAL else concept_text(end)
        details = json.loads(metadata)
        name = VOCABULARY.canonical_name(relation[3:])
        triples.append(
            BaseTriple(
                Triple.of(h, name, t), details["weight"], details["dataset"], details["license"]
            )
        )
    return content_of(triples, VOCABULARY)


def comparable(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    return {name: rows for name, rows in content(folder).items() if name != "indexes"}


REAL = [
    "o'brien's", "don't_panic", "catch_22", "2001", "naïve_café", "ﬁne", "ＡＢＣ", "straße",
    "STRASSE", "İstanbul", "犬", "собака", "ǅ", "ά", "ΣΊΣΥΦΟΣ", "a__b", "_leading", "trailing_",
    "non\u00a0breaking", "em\u2003space", "🐶_dog", "ﷺ", "x" * 300, "'s", "50%_off", '"quoted"',
    "k\u0301", "ḱ", "\u212b", "å", "ẛ̣", "half½", "tab\u200bzero", "q&a", "a;b--c", "C++", "½",
]  # fmt: skip


def test_concepts_of_real_data_have_the_keys_that_python_gives(file: Path, data: Path) -> None:
    pairs = [(a, b) for a in REAL for b in REAL[::5]]
    lines = [
        line(("IsA", "Synonym", "UsedFor")[n % 3], a, b, n % 7 + 0.5)
        for n, (a, b) in enumerate(pairs)
    ]
    lines += [
        line("RelatedTo", "self", "self"),
        *(line(r, "ten", "one") for r in list(VOCABULARY._by_name)[:10]),
    ]
    load("conceptnet", dump(file, lines), data=data)
    assert comparable(data) == reference(lines)
    for _, key, text, _ in content(data)["concepts"]:
        assert key == concept_key(str(text))


def test_the_longest_texts_are_loaded_in_their_place(file: Path, data: Path) -> None:
    texts = ["a", "x" * 511, "x" * 512, "Y" * 512, "z", "\u4eac" * 170, "\ufdfa" * 15]
    lines = [line("IsA", a, b) for a in texts for b in texts]
    load("conceptnet", dump(file, lines), data=data)
    assert comparable(data) == reference(lines)


def test_any_text_gets_the_key_that_python_gives(file: Path, data: Path) -> None:
    random_texts = random.Random(7)
    ranges = [
        (0x21, 0x7E),
        (0xA0, 0x24F),
        (0x370, 0x52F),
        (0x1E00, 0x1FFF),
        (0x2000, 0x214F),
        (0x3040, 0x30FF),
        (0xFB00, 0xFDFF),
    ]
    letters = [
        chr(c)
        for low, high in ranges
        for c in range(low, high + 1)
        if unicodedata.category(chr(c)) not in ("Cn", "Cc", "Zl", "Zp")
    ]
    turning = {
        chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
    }  # refused: they reverse what is written
    letters = [c for c in letters if c not in {"/", "\x85", *turning}] + ["_"] * 200
    texts = [
        "x" + "".join(random_texts.choices(letters, k=random_texts.randint(1, 8)))
        for _ in range(3000)
    ]
    lines = [line("IsA", a, b) for a, b in zip(texts, reversed(texts), strict=True)]
    load("conceptnet", dump(file, lines), data=data)
    assert comparable(data) == reference(lines)


def test_what_is_folded_in_sql_is_folded_as_python_folds_it() -> None:
    with duckdb.connect() as database:
        rows = database.execute(
            "SELECT c, lower(c) FROM (SELECT chr(unnest($points)) AS c)"
            f" WHERE regexp_full_match(c, '[{queries.TIDY}]')",
            {"points": [*range(0x21, 0xD800), *range(0xE000, 0x20000)]},
        ).fetchall()
    assert len(rows) > 30_000
    concepts = [(text, key, Concept.of(text)) for text, key in rows]
    assert [
        text for text, key, concept in concepts if (concept.text, concept.key) != (text, key)
    ] == []
    chance = random.Random(7)
    pairs = [(chance.choice(rows), chance.choice(rows)) for _ in range(50_000)]
    assert [(a, b) for a, b in pairs if concept_key(a[0] + b[0]) != a[1] + b[1]] == [], (
        "no two make one"
    )


TROUBLESOME = st.text(
    st.sampled_from(
        "aZ9 .\u00e9\u0130\u00df\u4eac\u304b\u0414\u2019'\u02bc\u00b4\u201d\u2010\u2212\u2013_"
        "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202e\ufe0f\u2800\u3164\u0301"
        "\u06cc\u062e\u094d\u0915\u2764\U0001f525"
    ),
    min_size=1,
    max_size=12,
)


@given(
    st.lists(
        st.one_of(TROUBLESOME, st.text(st.characters(exclude_categories=["Cs"]), max_size=12)),
        min_size=1,
    )
)
@settings(max_examples=50, deadline=None)
def test_the_staging_gives_each_text_the_key_that_python_gives(texts: list[str]) -> None:
    with duckdb.connect() as database:
        database.create_function("key_in_python", key_or_nothing, ["VARCHAR"], "VARCHAR")
        database.create_function("text_in_python", text_of, ["VARCHAR"], "VARCHAR")
        database.execute(
            "CREATE TABLE raw AS SELECT 0 AS why, t AS head, t AS tail, 1 AS line,"
            " NULL::VARCHAR AS head_language,"
            " NULL::VARCHAR AS tail_language FROM (SELECT unnest($texts) AS t)",
            {"texts": texts},
        )
        database.execute(queries.TEXTS)
        rows = database.execute("SELECT t, key, text FROM texts WHERE key <> ''").fetchall()
    assert {t: (key, text) for t, key, text in rows} == {
        t: (concept.key, concept.text)
        for t in texts
        if (concept := Concept.of(t)).key and not _is_refused(t)
    }


def _is_refused(text: str) -> bool:
    try:
        checked_concept(text)
    except NoTriple:
        return True
    return False


@pytest.mark.parametrize(
    "lines", [3_000, 150_000], ids=["one chunk", "several chunks, in the threads of DuckDB"]
)
def test_a_generated_dump_loads_as_python_loads_it(file: Path, data: Path, lines: int) -> None:
    generate(file, lines)
    load("conceptnet", file, data=data)
    assert comparable(data) == reference(file.read_text(encoding="utf-8").splitlines())


def test_a_generated_dump_is_in_the_order_of_the_real_one(file: Path) -> None:
    generate(file, 20_000)
    with file.open(encoding="utf-8") as lines:
        keys = [tuple(text.split("\t")[1:4]) for text in lines]
    assert len(keys) == 20_000
    assert keys == sorted(keys)


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"needs {SAMPLE.name} under ../shared/data")
def test_the_real_sample_loads_as_python_loads_it(data: Path) -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    taken = {True: lines, False: [text for text in lines if text.split("\t")[1] != EXTERNAL]}
    assert len(taken[True]) > len(taken[False])
    for links, expected in taken.items():
        options = ["--external-urls"] if links else []
        assert (
            load("conceptnet", SAMPLE, "--language", "all", "--replace", *options, data=data) == 0
        )
        assert comparable(data) == reference(expected)
