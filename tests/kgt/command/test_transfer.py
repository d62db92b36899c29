"""`kgt export`, `kgt import` and `kgt erase`."""

from __future__ import annotations

import codecs
import io
import json
from pathlib import Path

import grpc
import pytest

from kgt.__main__ import main
from kgt.v1 import personalization_pb2 as pb
from tests.kgt.command.running import Run, corrected, document
from tests.kgt.scripted_server import Script, scripted_server
from tests.rpc.running import FEED


def test_an_export_taken_back_is_the_same_overlay(run: Run, tmp_path: Path, user: str) -> None:
    corrected(run)
    corrected(run, "fish")
    file = tmp_path / "overlay.jsonl"
    assert run("export", str(file)) == f"written to {file}\n"
    printed = run("export", "--json")
    assert printed == file.read_text(encoding="utf-8")
    assert all(json.loads(line) for line in printed.splitlines())
    facts = run("facts", "--json")
    run("erase", "--yes")
    assert document(run("facts", "--json"))["facts"] == []
    assert run("import", str(file)) == "2 edits taken in; the overlay is at revision 2\n"
    assert run("facts", "--json") == facts
    assert run("answer", FEED).startswith("fish\n")
    other = document(run("import", "--json", "-u", f"{user} other", str(file)))
    assert (other["imported_edits"], other["revision"]) == (2, "2")


def test_an_import_into_an_overlay_with_edits_is_merged_when_asked(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "overlay.jsonl"
    corrected(run)
    run("export", str(file))
    run("erase", "--yes")
    run("edit", "--add", "Luna", "likes", "tuna")
    shown = run("import", "--merge", str(file))
    assert shown.startswith("1 edits taken in; the overlay is at revision 2\n")
    assert "(dog, Desires, vegetables)" in shown


def test_erase_asks_for_the_users_name(
    run: Run,
    address: str,
    user: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    corrected(run)
    for typed in ("yes\n", "\n", ""):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert main(["erase", "-u", user, "--server", address]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.endswith("kgt: nothing was erased\n")
    assert len(document(run("edits", "--json"))["edits"]) == 1
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{user}\n"))
    assert main(["erase", "-u", user, "--server", address]) == 0
    assert capsys.readouterr().out.startswith("erased 1 edits, 1 added and 1 removed triples")
    assert document(run("edits", "--json"))["edits"] == []


def test_erase_does_not_ask_with_yes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    corrected(run)
    monkeypatch.setattr("sys.stdin", None)
    assert document(run("erase", "--yes", "--json"))["edits"] == 1


def test_an_export_that_breaks_off_leaves_no_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "overlay.jsonl"
    file.write_text("the one before\n")
    with scripted_server(Script(failures=1, messages_before_failure=1)) as address:
        assert main(["export", "-u", "alice", "--server", address, str(file)]) == 1
    assert capfd.readouterr().err.startswith("kgt: Unavailable")
    assert file.read_text() == "the one before\n"


@pytest.mark.parametrize("before", [None, "the one before\n"])
def test_an_export_of_which_the_server_lost_a_part_keeps_the_rest_and_says_so(
    before: str | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "overlay.jsonl"
    if before is not None:
        file.write_text(before)
    lines = [pb.ExportOverlayResponse(line=line) for line in ('{"kgt": 1}', '{"edit": "Zoë"}')]
    script = Script(
        1, grpc.StatusCode.DATA_LOSS, messages_before_failure=2, responses={"ExportOverlay": lines}
    )
    with scripted_server(script) as address:
        assert main(["export", "-u", "alice", "--server", address, str(file)]) == 1
        printed = capfd.readouterr()
        assert printed.out == ""
        assert (
            printed.err
            == f"kgt: DataLoss: as the script says; {file} has the lines that could be read\n"
        )
        assert file.read_text(encoding="utf-8") == '{"kgt": 1}\n{"edit": "Zoë"}\n'
        script.failures, script.messages_before_failure = 1, 0
        assert main(["export", "-u", "alice", "--server", address, str(file)]) == 1
        assert capfd.readouterr().err == "kgt: DataLoss: as the script says\n"
        assert "Zoë" in file.read_text(encoding="utf-8"), "what holds nothing replaces nothing"
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("missing.jsonl", None, "No such file or directory"),
        ("folder", "", "Is a directory"),
        ("latin.jsonl", '{"caf\xe9": 1}\n'.encode("latin-1"), "is not UTF-8 text (byte 6)"),
        ("utf16.jsonl", '{"kgt": 1}\n'.encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ("utf16le.jsonl", '{"kgt": 1}\n'.encode("utf-16-le"), "is UTF-16 text; save it as UTF-8"),
        ("utf16be.jsonl", '{"kgt": 1}\n'.encode("utf-16-be"), "is UTF-16 text; save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_imported_is_reported_in_one_line(
    name: str,
    content: bytes | str | None,
    complaint: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / name
    if content == "":
        file.mkdir()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    assert main(["import", "-u", "alice", str(file)]) == 2
    assert capfd.readouterr() == ("", f"kgt: {file}: {complaint}\n")


@pytest.mark.parametrize(
    ("mark", "line_end"),
    [(codecs.BOM_UTF8, "\n"), (b"", "\r\n"), (b"", "\r"), (codecs.BOM_UTF8, "\r\n")],
)
def test_marks_and_line_ends_of_other_programs_are_not_text(
    run: Run, tmp_path: Path, user: str, mark: bytes, line_end: str
) -> None:
    corrected(run)
    run("edit", "--add", "Zoë", "likes", "one\u2028two")
    file = tmp_path / "overlay.jsonl"
    run("export", str(file))
    file.write_bytes(mark + file.read_text(encoding="utf-8").replace("\n", line_end).encode())
    assert run("import", "-u", f"{user[:90]} other", str(file)).startswith("2 edits taken in")
