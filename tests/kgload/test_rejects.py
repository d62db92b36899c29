"""Malformed lines: written as they are, and shown without their text."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgload.report import Report
from tests.kgload.dumps import load


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
