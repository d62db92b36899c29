"""Whole loads: whatever a file holds, each line with text is kept, left out, or rejected with its
number and reason."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgload import queries
from kgload.__main__ import main
from kgload.formats.triples import LAYOUTS
from kgload.report import Report
from kgload.rows import comma_rows
from server.graph.concept import concept_key
from server.stores.sqlite.base import BASE_FILE
from tests.kgload.dumps import content, edges, line, load


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def totals(out: str) -> dict[str, int]:
    """What a load said at its end."""
    counted = re.findall(
        r"^(lines read|left out: .*|rejected|kept|edges|concepts)\t([\d,]+)$", out, re.MULTILINE
    )
    return {name: int(count.replace(",", "")) for name, count in counted}


def rejects(data: Path) -> list[tuple[int, str, str]]:
    """Number, reason and text of each rejected line."""
    if not (data / "rejects.tsv").exists():
        return []
    written = (data / "rejects.tsv").read_bytes().decode("utf-8").split("\n")[:-1]
    return [
        (int(number), reason, text)
        for number, reason, text in (one.split("\t", 2) for one in written)
    ]


# The files of the reports

CASES: list[tuple[str, bytes, dict[str, int], list[tuple[int, str]]]] = [
    (
        "quote.csv",
        b'head,relation,tail\nmango,HasProperty,sweet\n"tv" set,AtLocation,living room\npapaya,HasProperty,orange\n'
        b"kiwi,HasProperty,green\n",
        {"lines read": 4, "rejected": 1, "kept": 3, "edges": 3, "concepts": 6},
        [(3, "is not CSV")],
    ),
    (
        "bom.csv",
        b"\xef\xbb\xbfhead,relation,tail\r\nmango,HasProperty,sweet\r\npapaya,HasProperty,orange\r\n",
        {"lines read": 2, "rejected": 0, "kept": 2, "edges": 2, "concepts": 4},
        [],
    ),
    (
        "bom.tsv",
        b"\xef\xbb\xbfmango\tHasProperty\tsweet\r\nmango\tAtLocation\tmarket\r\n",
        {"lines read": 2, "rejected": 0, "kept": 2, "edges": 2, "concepts": 3},
        [],
    ),
    (
        "bom.jsonl",
        b'\xef\xbb\xbf{"head":"mango","relation":"HasProperty","tail":"sweet"}\r\n'
        b'{"head":"mango","relation":"AtLocation","tail":"market"}\r\n',
        {"lines read": 2, "rejected": 0, "kept": 2, "edges": 2, "concepts": 3},
        [],
    ),
    (
        "neg.csv",
        b"head,relation,tail,weight\nspinach,HasProperty,tasty,-0.5\nmango,HasProperty,sweet,2\n",
        {"lines read": 2, "rejected": 0, "kept": 2, "edges": 2, "concepts": 4},
        [],
    ),
    ("hdr.tsv", b"head\trelation\ttail\nmango\tHasProperty\tsweet\n", {"lines read": 1, "rejected": 0, "edges": 1}, []),
    ("spo.csv", b"subject,predicate,object\nmango,HasProperty,sweet\n", {"lines read": 1, "rejected": 0, "edges": 1}, []),
    (
        "extra.csv",
        b"head,relation,tail\nmango,HasProperty,sweet, juicy and ripe\nmango,IsA,fruit\n",
        {"lines read": 2, "rejected": 1, "edges": 1},
        [(2, "has 4 columns, not 3")],
    ),
    (
        "cr.tsv",
        b"mango\tHasProperty\tsweet\rpapaya\tHasProperty\torange\r",
        {"lines read": 2, "rejected": 0, "edges": 2, "concepts": 4},
        [],
    ),
    (
        "joined.jsonl",
        b'\n["a", "IsA", "b"]\n\xef\xbb\xbf["c", "IsA", "d"]\n \nno\n["e", "...", "f"]\n["_", "IsA", "f"]\n["a\\u0007", "IsA", "f"]',
        {"lines read": 6, "rejected": 4, "kept": 2, "edges": 2},
        [(5, "is not JSON"), (6, "the relation names nothing"), (7, "the head"), (8, "the head holds control characters")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "written", "expected", "bad"), CASES, ids=[name for name, *_ in CASES]
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_reported_file_is_counted_as_it_is(
    name: str,
    written: bytes,
    expected: dict[str, int],
    bad: list[tuple[int, str]],
    packed: bool,
    tmp_path: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / (f"{name}.gz" if packed else name)
    file.write_bytes(gzip.compress(written) if packed else written)
    assert load("triples", file, data=data) == 0
    said = totals(capsys.readouterr().out)
    assert said | expected == said
    assert said["lines read"] == said["kept"] + said["rejected"]
    found = rejects(data)
    assert [number for number, *_ in found] == [number for number, _ in bad]
    assert all(
        reason.startswith(start) for (_, reason, _), (_, start) in zip(found, bad, strict=True)
    )
    assert main(["verify", "--data", str(data)]) == 0


def test_the_heaviest_of_negative_duplicates_wins_by_both_routes(
    tmp_path: Path, data: Path
) -> None:
    weights = {
        "a": ["-3", "-0.5"],
        "b": ["-0.0"],
        "c": ["1e-300"],
        "d": ["-1000000000", "1000000000"],
        "e": ["-2", "2"],
    }
    lines = [(head, weight) for head, all_of in weights.items() for weight in all_of]
    (tmp_path / "own.tsv").write_text(
        "".join(f"{h}\tIsA\tx\t{w}\n" for h, w in lines), encoding="utf-8"
    )
    dumped = "".join(f"{line('IsA', h, 'x', json.loads(w))}\n" for h, w in lines)
    (tmp_path / "dump.csv").write_text(dumped, encoding="utf-8")
    for form, name in (("triples", "own.tsv"), ("conceptnet", "dump.csv")):
        assert load(form, tmp_path / name, "--replace", data=data) == 0
        assert {e[0]: e[5] for e in content(data)["edges"]} == {
            "a": -0.5,
            "b": 0,
            "c": 1e-300,
            "d": 1e9,
            "e": 2,
        }
        assert main(["verify", "--data", str(data)]) == 0


def test_facts_of_a_head_are_in_the_order_of_their_weights_below_zero_too(
    tmp_path: Path, data: Path
) -> None:
    (tmp_path / "own.tsv").write_text(
        "".join(f"a\tIsA\tt{w}\t{w}\n" for w in (-2, 3, 0, -1, -2.5)), encoding="utf-8"
    )
    load("triples", tmp_path / "own.tsv", data=data)
    assert [e[5] for e in content(data)["edges"]] == [3, 0, -1, -2, -2.5]


# ConceptNet's dump

GOOD = line("IsA", "dog", "pet").encode()
DUMP = [
    (GOOD, ""),
    (b"\xef\xbb\xbf" + line("IsA", "cat", "pet", -2).encode(), ""),
    (GOOD + b"\tmore", "has 6 columns, not 5"),
    (GOOD + b"\tmore" * 9, "has 14 columns, not 5"),
    (b"one column", "has 1 column, not 5"),
    (GOOD.replace(b"/c/en/dog", b"/c/en/d\xff"), "is not UTF-8"),
    (GOOD.replace(b"/c/en/dog", b"/c/en/d\0g"), "holds NUL bytes"),
    (GOOD.replace(b"\t/c/en/dog\t", b"\t\x01\t"), "is not a concept URI"),
    (GOOD.replace(b"\t/c/en/dog\t", b"\t/c/en\t"), "is not a concept URI"),
    (GOOD.replace(b"\t/c/en/dog\t", b"\t/c//dog\t"), "is not a concept URI"),
    (GOOD.replace(b"\t/c/en/dog\t", b"\t/c/en/...\t"), "names nothing"),
    (GOOD.replace(b"\t/c/en/dog\t", b"\t/c/en/_\t"), "the concept"),
    (GOOD.replace(b"\t/c/en/dog\t", "\t/c/en/\u200b\t".encode()), "the concept"),
    (GOOD.replace(b"\t/c/en/dog\t", b"\t/c/en/\x1b[31mdog\t"), "control characters"),
    (GOOD.replace(b"\t/c/en/dog\t", b"\t/c/en/%64og%ZZ\t"), ""),
    (GOOD.replace(b"\t/r/IsA\t", b"\t/r/...\t"), "the relation names nothing"),
    (GOOD.replace(b"\t/r/IsA\t", b"\t/r/\t"), "the relation is empty"),
    (GOOD.replace(b"1.0", b'"1.0"'), "is not a number"),
    (GOOD.replace(b"1.0", b"1" + b"0" * 400), "out of range"),
    (GOOD.replace(b"1.0", b"1" * 5_000), "too many digits"),
    (GOOD.replace(b', "weight": 1.0', b""), ""),
    (GOOD.replace(b"{", b"[" * 100_000), "nested too deeply"),
    (GOOD.split(b"{")[0] + b'"text"', "not a JSON object"),
    (GOOD.replace(b'"weight"', b'"x": "\\ud800", "weight"'), "not JSON that can be read"),
    (GOOD.replace(b"{", b'{"x": "' + b"y" * (9 << 20) + b'", '), "is longer than 8 MiB"),
    (line("IsA", "o\u2028wl", "pet").encode(), ""),
]


@pytest.mark.parametrize(
    ("chosen", "end"),
    [(None, b"\n"), (None, b"\r\n"), (None, b"\r"), *((n, b"\n") for n in range(2, len(DUMP)))],
)
def test_each_line_of_a_dump_is_kept_or_told(
    chosen: int | None, end: bytes, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [one for number, one in enumerate(DUMP) if chosen in (None, number) or number == 0]
    (tmp_path / "dump.csv").write_bytes(
        end.join([b"", *(text for text, _ in lines), b" \t", b"", GOOD])
    )
    assert load("conceptnet", tmp_path / "dump.csv", data=data) == 0
    said, expected = (
        totals(capsys.readouterr().out),
        [n for n, (_, why) in enumerate(lines, 2) if why],
    )
    assert (said["lines read"], said["rejected"]) == (len(lines) + 1, len(expected))
    assert said["kept"] == said["lines read"] - said["rejected"]
    found = rejects(data)
    assert [number for number, *_ in found] == expected
    assert all(lines[number - 2][1] in reason for number, reason, _ in found), found
    assert all(reason.isprintable() for _, reason, _ in found)
    assert main(["verify", "--data", str(data)]) == 0


def test_lines_lost_by_a_reader_are_an_error_and_no_wrong_count(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.csv").write_bytes(b"a,IsA,b\nc,IsA,d\n")
    (tmp_path / "dump.csv").write_bytes(GOOD + b"\n" + GOOD + b"\n")
    monkeypatch.setitem(LAYOUTS, "csv", lambda lines, columns: list(comma_rows(lines, columns))[1:])
    assert load("triples", tmp_path / "own.csv", data=data) == 2
    assert "of 2 lines with text 1 were read" in capsys.readouterr().err
    monkeypatch.setattr(queries, "VIEW_RAW", queries.VIEW_RAW + " LIMIT 1")
    assert load("conceptnet", tmp_path / "dump.csv", data=data) == 2
    assert "of 2 lines with text 1 were read" in capsys.readouterr().err
    assert not (data / BASE_FILE).exists()


# Whatever the bytes

WORDS = st.lists(
    st.sampled_from(["mango", "Straße", "犬", "собака", "big", "C++", "o'clock", "-18"]),
    min_size=1,
    max_size=3,
)
TRIPLES = st.tuples(
    WORDS.map(" ".join), st.sampled_from(["IsA", "UsedFor", "likes"]), WORDS.map(" ".join)
)
JUNK = st.sampled_from(
    [
        b"junk",
        b"caf\xe9",
        b"a\0b",
        b'"open',
        b"tab\x1b[0m",
        b"{",
        b"]",
        "\u2028".encode(),
        b"x" * 140_000,
        b"\x85",
        b"#!",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
WRITERS = {
    "csv": lambda t: ",".join(t).encode(),
    "tsv": lambda t: "\t".join(t).encode(),
    "jsonl": lambda t: json.dumps(t).encode(),
}


@contextlib.contextmanager
def loaded(
    name: str, written: bytes, form: str = "triples"
) -> Iterator[tuple[int, str, str, Path]]:
    """Status, output, errors and folder of a load of its own."""
    folder = Path(tempfile.mkdtemp())
    out, err = io.StringIO(), io.StringIO()
    try:
        (folder / name).write_bytes(written)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(
                [form, str(folder / name), "--data", str(folder / "data"), "--memory", "512MB"]
            )
        yield status, out.getvalue(), err.getvalue(), folder / "data"
    finally:
        shutil.rmtree(folder)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(WRITERS)),
    st.lists(st.tuples(st.one_of(TRIPLES, JUNK), ENDS), min_size=1, max_size=25),
)
def test_well_formed_lines_are_kept_whatever_stands_between_them(
    layout: str, entries: list[tuple[tuple[str, str, str] | bytes, bytes]]
) -> None:
    texts = [one if isinstance(one, bytes) else WRITERS[layout](one) for one, _ in entries]
    written = b"".join(text + end for text, (_, end) in zip(texts, entries, strict=True))
    good = {
        (concept_key(h), r, concept_key(t))
        for one, _ in entries
        if not isinstance(one, bytes)
        for h, r, t in [one]
    }
    bad = [number for number, (one, _) in enumerate(entries, 1) if isinstance(one, bytes)]
    with loaded(f"graph.{layout}", written) as (status, out, err, data):
        assert "Traceback" not in err
        assert status == (0 if good else 2)
        assert [number for number, *_ in rejects(data)] == bad
        if good:
            assert edges(data) == good
            said = totals(out)
            assert (said["lines read"], said["rejected"]) == (len(entries), len(bad))
            assert said["kept"] == said["lines read"] - said["rejected"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.dump"]),
    st.lists(
        st.sampled_from(
            [b"a,IsA,b", b"a\tIsA\tb", b'["a", "IsA", "b"]', GOOD, GOOD + b"\tx", b'"', b'"a', b'"a"', b",", b"\t", b"\n",
             b"\r", b"\r\n", b" ", b"\0", b"\xff", b"\xef\xbb\xbf", b"head,relation,tail", b"\x01", b"\x1f\x8b"]
        ),
        max_size=30,
    ).map(b"".join),
)  # fmt: skip
def test_any_bytes_end_as_a_load_or_as_one_line_that_says_why(name: str, written: bytes) -> None:
    with loaded(name, written, "conceptnet" if name == "a.dump" else "triples") as (
        status,
        out,
        err,
        data,
    ):
        assert status in (0, 2)
        assert "Traceback" not in err
        assert "fault of the loader" not in err
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", out + err)
        if status == 0:
            said = totals(out)
            left_out = sum(count for name, count in said.items() if name.startswith("left out"))
            assert said["lines read"] == said["kept"] + said["rejected"] + left_out
            assert len(rejects(data)) == said["rejected"]
        else:
            assert not (data / BASE_FILE).exists()


# What cannot be read at all

TRIPLE = b"mango\tHasProperty\tsweet\n"
UNREADABLE = [
    ("a.tsv", b"", "is empty"),
    ("a.tsv", b"\xef\xbb\xbf", "holds no line of text"),
    ("a.tsv", b"\n \r\n\t\r", "holds no line of text"),
    ("a.tsv", b"\0" * 100, "no line was a triple"),
    ("a.tsv", b"one column\n", "no line was a triple (1 malformed lines)"),
    (
        "a.tsv",
        TRIPLE.decode().encode("UTF-16"),
        "is UTF-16, not UTF-8 text: convert it (iconv -f UTF-16 -t UTF-8)",
    ),
    ("a.csv", TRIPLE.decode().encode("UTF-16LE"), "is UTF-16LE, not UTF-8 text"),
    ("a.jsonl", TRIPLE.decode().encode("UTF-32BE"), "is UTF-32BE, not UTF-8 text"),
    ("a.tsv.gz", gzip.compress(TRIPLE.decode().encode("UTF-16")), "is UTF-16, not UTF-8 text"),
    ("a.tsv.gz", b"", "is empty"),
    ("a.tsv.gz", gzip.compress(b""), "holds no line of text"),
    ("a.tsv.gz", TRIPLE, "is not a gzip file, as its name says"),
    ("a.tsv.gz", gzip.compress(TRIPLE * 9_999)[:-9], "middle of its gzip stream"),
    ("a.tsv.gz", gzip.compress(TRIPLE)[:12], "middle of its gzip stream"),
    ("a.tsv.gz", gzip.compress(TRIPLE) + b"more", "is a damaged gzip file"),
    ("a.tsv.gz", gzip.compress(TRIPLE)[:10] + b"\xff" * 40, "is a damaged gzip file"),
    ("a.tsv.gz", gzip.compress(b"PK\x03\x04"), "is a zip archive"),
]


@pytest.mark.parametrize(("name", "written", "complaint"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_file_that_cannot_be_read_is_one_line_and_changes_nothing(
    name: str,
    written: bytes,
    complaint: str,
    tmp_path: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "before.tsv").write_bytes(TRIPLE)
    load("triples", tmp_path / "before.tsv", data=data)
    before = content(data)
    (tmp_path / name).write_bytes(written)
    capsys.readouterr()
    for form in ("triples", "conceptnet"):
        if form == "conceptnet" and "no line was a triple" in complaint:
            continue
        assert load(form, tmp_path / name, "--replace", data=data) == 2
        (said,) = [
            one for one in capsys.readouterr().err.splitlines() if one.startswith("kgload: ")
        ]
        assert complaint in said
        assert content(data) == before


def test_gzip_files_put_one_behind_another_are_one(tmp_path: Path, data: Path) -> None:
    parts = [
        gzip.compress(b"\xef\xbb\xbf" + one + b"\n")
        for one in (GOOD, line("IsA", "cat", "pet").encode())
    ]
    (tmp_path / "dump.csv.gz").write_bytes(b"".join(parts))
    assert load("conceptnet", tmp_path / "dump.csv.gz", data=data) == 0
    assert edges(data) == {("dog", "IsA", "pet"), ("cat", "IsA", "pet")}


def test_a_pipe_is_read_once_and_whole(data: Path) -> None:
    near, far = os.pipe()
    os.write(far, b"\xef\xbb\xbfmango\tIsA\tfruit\r")
    os.close(far)
    assert load("triples", f"/dev/fd/{near}", data=data) == 0
    os.close(near)
    assert edges(data) == {("mango", "IsA", "fruit")}


def test_a_vocabulary_and_a_declaration_may_begin_with_a_byte_order_mark(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.tsv").write_bytes(b"a\tIsA\tb\nc\tsuppliedBy\td\n")
    isa = '[[relation]]\nname = "IsA"\nphrases = ["is a"]\n'
    own = '[[relation]]\nname = "suppliedBy"\nphrases = ["is supplied by"]\n'
    (tmp_path / "words.toml").write_bytes(isa.encode("utf-8-sig"))
    (tmp_path / "own.toml").write_bytes(own.encode("utf-8-sig"))
    options: list[str | Path] = [
        "--vocabulary",
        tmp_path / "words.toml",
        "--declare",
        tmp_path / "own.toml",
    ]
    assert load("triples", tmp_path / "own.tsv", *options, data=data) == 0
    (tmp_path / "own.toml").write_bytes(own.encode("UTF-16"))
    assert load("triples", tmp_path / "own.tsv", *options, data=data) == 2
    assert "is UTF-16, not UTF-8 text" in capsys.readouterr().err


# What is told


def test_rejected_texts_are_in_the_file_as_written_and_on_no_terminal(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = b'\x1b]0;title\x07secret \xc2\x9b caf\xe9\t"x'
    (tmp_path / "own.tsv").write_bytes(b"a\tIsA\tb\n" + secret + b"\n")
    assert load("triples", tmp_path / "own.tsv", "--rejects", tmp_path / "bad.tsv", data=data) == 0
    assert (tmp_path / "bad.tsv").read_bytes() == b"2\tis not UTF-8\t" + secret.replace(
        b"\xe9", b"\\xe9"
    ) + b"\n"
    out, err = capsys.readouterr()
    assert "line 2: is not UTF-8" in err
    assert "secret" not in out + err


def test_the_file_that_is_loaded_is_not_written_over(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.tsv"
    file.write_bytes(b"a\tIsA\tb\nbad\n")
    assert load("triples", file, "--rejects", file, data=data) == 2
    assert "is the file that is loaded" in capsys.readouterr().err
    assert file.read_bytes() == b"a\tIsA\tb\nbad\n"


def test_no_message_holds_control_characters(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load("triples", tmp_path / "\x1b[31mred\nline.tsv", data=data) == 2
    assert capsys.readouterr().err.replace("\n", "", 1).isprintable()
    Report().table("By relation", ("relation",), [("[red]\x1b[31m\x9b\u202e",)])
    assert capsys.readouterr().out.splitlines()[1] == "[red]\\u001b[31m\\u009b\\u202e"
