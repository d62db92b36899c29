"""ConceptNet's dump into the embedded store: what is kept, how it is keyed, what is refused."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.generate import generate
from kgload import embedded, queries, staging
from kgload.__main__ import main
from kgload.lines import (
    EXTERNAL,
    NoTriple,
    checked_concept,
    concept_text,
    conceptnet_fault,
    link_text,
)
from server.graph.concept import Concept, concept_key
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.sqlite import sql
from server.stores.sqlite.base import BASE_FILE
from testbed.bases import BaseTriple, build_base
from testbed.processes import ROOT
from tests.kgload.dumps import HEAVY, content, dump, edges, line, load

SAMPLE = ROOT.parent / "shared" / "data" / "conceptnet5-sample.csv"
VOCABULARY = Vocabulary.built_in()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dump.csv"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


# What is kept


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
    assert "line 4: '/c/en/no_link' is no address (http://...)" in err
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


# The same graph, whoever loads it


def reference(lines: list[str], folder: Path) -> None:
    """Load by the store's own small route, keys and all from Python."""
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
    build_base(folder, triples, VOCABULARY)


def comparable(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    return {name: rows for name, rows in content(folder).items() if name != "indexes"}


REAL = [
    "o'brien's", "don't_panic", "catch_22", "2001", "naïve_café", "ﬁne", "ＡＢＣ", "straße", "STRASSE", "İstanbul", "犬", "собака",
    "ǅ", "ά", "ΣΊΣΥΦΟΣ", "a__b", "_leading", "trailing_", "non\u00a0breaking", "em\u2003space", "🐶_dog", "ﷺ", "x" * 300, "'s",
    "50%_off", '"quoted"', "k\u0301", "ḱ", "\u212b", "å", "ẛ̣", "half½", "tab\u200bzero", "q&a", "a;b--c", "C++", "½",
]  # fmt: skip


def test_concepts_of_real_data_have_the_keys_that_python_gives(
    file: Path, data: Path, tmp_path: Path
) -> None:
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
    reference(lines, tmp_path / "reference")
    assert comparable(data) == comparable(tmp_path / "reference")
    for _, key, text, _ in content(data)["concepts"]:
        assert key == concept_key(str(text))


def test_any_text_gets_the_key_that_python_gives(file: Path, data: Path, tmp_path: Path) -> None:
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
    reference(lines, tmp_path / "reference")
    assert comparable(data) == comparable(tmp_path / "reference")


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
        "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202e\ufe0f\u2800\u3164\u0301\u06cc\u062e\u094d\u0915\u2764\U0001f525"
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
        database.create_function("key_in_python", staging._key, ["VARCHAR"], "VARCHAR")
        database.create_function("text_in_python", staging._text, ["VARCHAR"], "VARCHAR")
        database.execute(
            "CREATE TABLE raw AS SELECT 0 AS why, t AS head, t AS tail, 1 AS line, NULL::VARCHAR AS head_language,"
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
def test_a_generated_dump_loads_as_python_loads_it(
    file: Path, data: Path, tmp_path: Path, lines: int
) -> None:
    generate(file, lines)
    load("conceptnet", file, data=data)
    reference(file.read_text(encoding="utf-8").splitlines(), tmp_path / "reference")
    assert comparable(data) == comparable(tmp_path / "reference")


def test_a_generated_dump_is_in_the_order_of_the_real_one(file: Path) -> None:
    generate(file, 20_000)
    with file.open(encoding="utf-8") as lines:
        keys = [tuple(text.split("\t")[1:4]) for text in lines]
    assert len(keys) == 20_000
    assert keys == sorted(keys)


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"needs {SAMPLE.name} under ../shared/data")
def test_the_real_sample_loads_as_python_loads_it(data: Path, tmp_path: Path) -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    taken = {True: lines, False: [text for text in lines if text.split("\t")[1] != EXTERNAL]}
    assert len(taken[True]) > len(taken[False])
    for links, expected in taken.items():
        options = ["--external-urls"] if links else []
        assert (
            load("conceptnet", SAMPLE, "--language", "all", "--replace", *options, data=data) == 0
        )
        reference(expected, tmp_path / str(links))
        assert comparable(data) == comparable(tmp_path / str(links))


# Malformed lines

GOOD = line("IsA", "dog", "pet")
BAD = [
    ("a\tb\tc", "has 3 columns, not 5"),
    (GOOD + "\tmore", "has 6 columns, not 5"),
    (GOOD + "\tmore\tand more", "has 7 columns, not 5"),
    (GOOD.replace("/r/IsA\t", "IsA\t"), "is no relation"),
    (GOOD.replace("\t/c/en/dog", "\thttp://dog"), "is no concept URI"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en"), "is no concept URI"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en/"), "is empty"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en/_"), "is empty"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en/\u3000_\u2003"), "is empty"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en/" + "x" * 513), "longer than 512 bytes"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en/" + "犬" * 171), "longer than 512 bytes"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en/d\x07g"), "control characters"),
    (GOOD.replace("/r/IsA\t", "/r/" + "R" * 65 + "\t"), "longer than 64 bytes"),
    (GOOD[:-1], "not JSON"),
    (GOOD.replace("{", "[1] {"), "not JSON"),
    (GOOD.split("{")[0] + "[1]", "no JSON object"),
    (GOOD.split("{")[0], "not JSON"),
    (GOOD.replace("1.0", '"heavy"'), "is no number"),
    (GOOD.replace("1.0", '"2.0"'), "is no number"),
    (GOOD.replace("1.0", "true"), "is no number"),
    (GOOD.replace("1.0", "null"), "is no number"),
    (GOOD.replace("1.0", "NaN"), "out of range"),
    (GOOD.replace("1.0", "1e300"), "out of range"),
]


@pytest.mark.parametrize(
    ("bad", "reason"), BAD, ids=[reason + str(n) for n, (_, reason) in enumerate(BAD)]
)
def test_a_malformed_line_is_counted_and_written_with_its_number_and_reason(
    bad: str, reason: str, file: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(file, [GOOD, "", line("IsA", "cat", "pet"), bad, line("IsA", "cow", "animal")])
    assert load("conceptnet", file, data=data) == 0
    assert edges(data) == {("dog", "IsA", "pet"), ("cat", "IsA", "pet"), ("cow", "IsA", "animal")}
    number, why, text = (
        (data / "rejects.tsv").read_text(encoding="utf-8").rstrip("\n").split("\t", 2)
    )
    assert (number, text) == ("4", bad)
    assert reason in why
    out = capsys.readouterr().out
    assert "rejected\t1\n" in out
    assert "lines read\t4\n" in out


def test_a_line_that_is_not_utf8_is_rejected(file: Path, data: Path) -> None:
    file.write_bytes(
        f"{GOOD}\n".encode()
        + b"/a/x\t/r/IsA\t/c/en/caf\xe9\t/c/en/x\t{}\n"
        + f"{line('IsA', 'a', 'b')}\n".encode()
    )
    assert load("conceptnet", file, data=data) == 0
    assert edges(data) == {("dog", "IsA", "pet"), ("a", "IsA", "b")}
    assert (data / "rejects.tsv").read_text(encoding="utf-8").startswith("2\tis not UTF-8\t")


def test_a_line_without_a_weight_weighs_one_and_windows_line_ends_are_fine(
    file: Path, data: Path
) -> None:
    weightless = line("IsA", "a", "b").replace(', "weight": 1.0', "")
    file.write_bytes(f"{GOOD}\r\n{weightless}\r\n".encode())
    assert load("conceptnet", file, data=data) == 0
    assert [e[5] for e in content(data)["edges"]] == [1.0, 1.0]


def test_more_malformed_lines_than_allowed_stop_the_load(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(file, [GOOD, "x", "y", "z"])
    assert load("conceptnet", file, "--max-errors", "2", data=data) == 2
    assert not (data / BASE_FILE).exists()
    assert "more than --max-errors 2" in capsys.readouterr().err
    assert load("conceptnet", file, "--max-errors", "3", data=data) == 0


# Where it comes from


def test_a_gzip_file_loads_as_its_text_does(file: Path, data: Path, tmp_path: Path) -> None:
    generate(file, 500)
    packed = tmp_path / "dump.csv.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    load("conceptnet", file, data=data)
    load("conceptnet", packed, data=tmp_path / "other")
    assert content(data) == content(tmp_path / "other")


def test_standard_input_is_a_source(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Standard:
        buffer = io.BytesIO(f"{GOOD}\n".encode())

    monkeypatch.setattr(sys, "stdin", Standard)
    assert load("conceptnet", "-", data=data) == 0
    assert edges(data) == {("dog", "IsA", "pet")}
    assert [p.name for p in data.iterdir()] == [BASE_FILE]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    import functools
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_url_is_a_source(
    file: Path, data: Path, served: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(file, [GOOD])
    assert load("conceptnet", f"{served}/dump.csv", data=data) == 0
    assert edges(data) == {("dog", "IsA", "pet")}
    assert load("conceptnet", f"{served}/missing.csv", "--replace", data=data) == 2
    assert "404" in capsys.readouterr().err


# What is refused


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        (b"", "is empty"),
        (b"\n\n", "holds no line"),
        (b"IsA\tdog\tpet\n" * 3, "has 3 columns, not 5; triples of your own"),
        (b"<!doctype html>\n<html></html>\n", "not ConceptNet's dump"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\xff\xfe\x00\x01\n", "not UTF-8"),
        (gzip.compress(f"{GOOD}\n".encode() * 5000)[:-40], "middle of its gzip stream"),
    ],
)
def test_a_wrong_file_is_named(
    written: bytes, complaint: str, file: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(written)
    assert load("conceptnet", file, data=data) == 2
    assert complaint in capsys.readouterr().err
    assert not (data / BASE_FILE).exists()


def test_an_absent_file_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("conceptnet", "nowhere.csv", data=data) == 2
    assert "nowhere.csv: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--data", "FILE"], "Not a directory; name a folder that can be written"),
        (["--data", "FILE/below"], "Not a directory; name a folder that can be written"),
        (["--rejects", "FILE/rejects.tsv"], "name a file in a folder that is there"),
        (["--rejects", "FOLDER"], "name a file in a folder that is there"),
        (["--batch", "0"], "'0' is no whole number from 1 on"),
        (["--batch", "many"], "'many' is no whole number from 1 on"),
        (["--max-errors", "-1"], "'-1' is no whole number from 0 on"),
        (["--min-weight", "nan"], "'nan' is no number"),
    ],
)
def test_an_option_that_cannot_be_is_told(
    arguments: list[str],
    complaint: str,
    file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dump(file, [GOOD])
    given = [a.replace("FILE", str(file)).replace("FOLDER", str(tmp_path)) for a in arguments]
    try:
        status: object = main(["conceptnet", str(file), "--data", str(tmp_path / "data"), *given])
    except SystemExit as refused:
        status = refused.code
    assert status == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "data" / BASE_FILE).exists()


def in_a_process(
    *arguments: str | Path, data: Path, stdout: int, stderr: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    """The loader, with a standard output of its own."""
    command = [sys.executable, "-m", "kgload", *(str(a) for a in arguments), "--data", str(data)]
    return subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=stderr, timeout=120, check=False)


def test_a_reader_that_has_seen_enough_stops_nothing(file: Path, data: Path) -> None:
    dump(file, [line("IsA", f"dog {n}", "pet") for n in range(50)])
    near, far = os.pipe()
    os.close(near)
    assert in_a_process("conceptnet", file, data=data, stdout=far, stderr=far).returncode == 0
    assert len(edges(data)) == 50
    told = in_a_process("stats", data=data, stdout=far)
    os.close(far)
    assert (told.returncode, told.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_result_that_cannot_be_written_is_an_error(file: Path, data: Path) -> None:
    load("conceptnet", dump(file, [GOOD]), data=data)
    with Path("/dev/full").open("w") as full:
        told = in_a_process("stats", data=data, stdout=full.fileno())
    assert told.returncode == 2
    assert told.stderr.decode().splitlines() == ["kgload: [Errno 28] No space left on device"]


def test_nothing_kept_is_an_error(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(file, [GOOD])
    assert load("conceptnet", file, "--language", "fr", data=data) == 2
    assert "1 by --language" in capsys.readouterr().err


def test_a_disk_without_room_is_told_before_anything_starts(
    file: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(file, 500)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100}))
    assert load("conceptnet", file, data=data) == 2
    assert "MiB free" in capsys.readouterr().err
    assert not (data / BASE_FILE).exists()


def test_a_disk_that_fills_up_leaves_the_old_base(
    file: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load("conceptnet", dump(file, [GOOD]), data=data)
    before = content(data)
    generate(file, 500)
    monkeypatch.setattr(sql, "BULK_PRAGMAS", sql.BULK_PRAGMAS + "PRAGMA max_page_count = 12;")
    assert load("conceptnet", file, "--replace", data=data) == 2
    assert "is full" in capsys.readouterr().err
    assert content(data) == before
    monkeypatch.undo()
    assert load("conceptnet", file, "--replace", data=data) == 0
    assert content(data) != before


def test_two_loads_at_once_are_refused(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(file, [GOOD])
    with embedded.scratch_folder(data):
        assert load("conceptnet", file, data=data) == 2
    assert "another load" in capsys.readouterr().err
