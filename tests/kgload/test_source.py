"""Where a file comes from, and files that cannot be read at all."""

from __future__ import annotations

import functools
import gzip
import http.server
import io
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.generate import generate
from server.stores.sqlite.base import BASE_FILE
from tests.kgload.dumps import GOOD, content, dump, edges, line, load


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
        for one in (GOOD.encode(), line("IsA", "cat", "pet").encode())
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
