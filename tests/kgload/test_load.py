"""Loads that fail or are refused, which leave the base as it was."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from bench.generate import generate
from kgload import queries
from kgload.formats.triples import LAYOUTS
from kgload.rows import comma_rows
from kgload.scratch import scratch_folder
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.trees import PageFile
from tests.kgload.dumps import GOOD, content, dump, load


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
    monkeypatch.setattr(PageFile, "put", _no_space_left)
    assert load("conceptnet", file, "--replace", data=data) == 2
    assert "is full" in capsys.readouterr().err
    assert content(data) == before
    monkeypatch.undo()
    assert load("conceptnet", file, "--replace", data=data) == 0
    assert content(data) != before


def _no_space_left(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_two_loads_at_once_are_refused(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(file, [GOOD])
    with scratch_folder(data):
        assert load("conceptnet", file, data=data) == 2
    assert "another load" in capsys.readouterr().err


def test_lines_lost_by_a_reader_are_an_error_and_no_wrong_count(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.csv").write_bytes(b"a,IsA,b\nc,IsA,d\n")
    (tmp_path / "dump.csv").write_bytes(GOOD.encode() + b"\n" + GOOD.encode() + b"\n")
    monkeypatch.setitem(LAYOUTS, "csv", lambda lines, columns: list(comma_rows(lines, columns))[1:])
    assert load("triples", tmp_path / "own.csv", data=data) == 2
    assert "of 2 lines with text 1 were read" in capsys.readouterr().err
    monkeypatch.setattr(queries, "VIEW_RAW", queries.VIEW_RAW + " LIMIT 1")
    assert load("conceptnet", tmp_path / "dump.csv", data=data) == 2
    assert "of 2 lines with text 1 were read" in capsys.readouterr().err
    assert not (data / BASE_FILE).exists()
