"""Malformed lines of ConceptNet's dump are counted, and shown with number and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgload.__main__ import main
from server.stores.sqlite.base import BASE_FILE
from tests.kgload.dumps import GOOD, content, dump, edges, line, load, rejects, totals

GOOD_BYTES = GOOD.encode()


BAD = [
    ("a\tb\tc", "has 3 columns, not 5"),
    (GOOD + "\tmore", "has 6 columns, not 5"),
    (GOOD + "\tmore\tand more", "has 7 columns, not 5"),
    (GOOD.replace("/r/IsA\t", "IsA\t"), "is not a relation"),
    (GOOD.replace("\t/c/en/dog", "\thttp://dog"), "is not a concept URI"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en"), "is not a concept URI"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en/"), "is empty"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en/_"), "is empty"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en/\u3000_\u2003"), "is empty"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en/" + "x" * 513), "longer than 512 bytes"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en/" + "犬" * 171), "longer than 512 bytes"),
    (GOOD.replace("\t/c/en/dog", "\t/c/en/d\x07g"), "control characters"),
    (GOOD.replace("/r/IsA\t", "/r/" + "R" * 65 + "\t"), "longer than 64 bytes"),
    (GOOD[:-1], "not JSON"),
    (GOOD.replace("{", "[1] {"), "not JSON"),
    (GOOD.split("{")[0] + "[1]", "not a JSON object"),
    (GOOD.split("{")[0], "not JSON"),
    (GOOD.replace("1.0", '"heavy"'), "is not a number"),
    (GOOD.replace("1.0", '"2.0"'), "is not a number"),
    (GOOD.replace("1.0", "true"), "is not a number"),
    (GOOD.replace("1.0", "null"), "is not a number"),
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


DUMP = [
    (GOOD_BYTES, ""),
    (b"\xef\xbb\xbf" + line("IsA", "cat", "pet", -2).encode(), ""),
    (GOOD_BYTES + b"\tmore", "has 6 columns, not 5"),
    (GOOD_BYTES + b"\tmore" * 9, "has 14 columns, not 5"),
    (b"one column", "has 1 column, not 5"),
    (GOOD_BYTES.replace(b"/c/en/dog", b"/c/en/d\xff"), "is not UTF-8"),
    (GOOD_BYTES.replace(b"/c/en/dog", b"/c/en/d\0g"), "holds NUL bytes"),
    (GOOD_BYTES.replace(b"\t/c/en/dog\t", b"\t\x01\t"), "is not a concept URI"),
    (GOOD_BYTES.replace(b"\t/c/en/dog\t", b"\t/c/en\t"), "is not a concept URI"),
    (GOOD_BYTES.replace(b"\t/c/en/dog\t", b"\t/c//dog\t"), "is not a concept URI"),
    (GOOD_BYTES.replace(b"\t/c/en/dog\t", b"\t/c/en/...\t"), "names nothing"),
    (GOOD_BYTES.replace(b"\t/c/en/dog\t", b"\t/c/en/_\t"), "the concept"),
    (GOOD_BYTES.replace(b"\t/c/en/dog\t", "\t/c/en/\u200b\t".encode()), "the concept"),
    (GOOD_BYTES.replace(b"\t/c/en/dog\t", b"\t/c/en/\x1b[31mdog\t"), "control characters"),
    (GOOD_BYTES.replace(b"\t/c/en/dog\t", b"\t/c/en/%64og%ZZ\t"), ""),
    (GOOD_BYTES.replace(b"\t/r/IsA\t", b"\t/r/...\t"), "the relation names nothing"),
    (GOOD_BYTES.replace(b"\t/r/IsA\t", b"\t/r/\t"), "the relation is empty"),
    (GOOD_BYTES.replace(b"1.0", b'"1.0"'), "is not a number"),
    (GOOD_BYTES.replace(b"1.0", b"1" + b"0" * 400), "out of range"),
    (GOOD_BYTES.replace(b"1.0", b"1" * 5_000), "too many digits"),
    (GOOD_BYTES.replace(b', "weight": 1.0', b""), ""),
    (GOOD_BYTES.replace(b"{", b"[" * 100_000), "nested too deeply"),
    (GOOD_BYTES.split(b"{")[0] + b'"text"', "not a JSON object"),
    (GOOD_BYTES.replace(b'"weight"', b'"x": "\\ud800", "weight"'), "not JSON that can be read"),
    (GOOD_BYTES.replace(b"{", b'{"x": "' + b"y" * (9 << 20) + b'", '), "is longer than 8 MiB"),
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
        end.join([b"", *(text for text, _ in lines), b" \t", b"", GOOD_BYTES])
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
