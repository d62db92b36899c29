"""The `kgt` command against a running server."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from kgt.__main__ import main
from kgt.command import _parser
from kgt.v1 import personalization_pb2 as pb
from testbed.bases import build_base
from testbed.processes import ROOT, server_process
from tests.kgt.scripted_server import Script, scripted_server
from tests.rpc.running import BASE, ENJOY, FEED, VOCABULARY

COMMANDS = (
    "personalize",
    "answer",
    "neighborhood",
    "facts",
    "edit",
    "edits",
    "revert",
    "export",
    "import",
    "erase",
)

Run = Callable[..., str]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("data")
    build_base(folder, BASE, VOCABULARY)
    with server_process("tests.rpc.fixed_server", folder) as server:
        yield server.address


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KGT_USER", "KGT_SERVER", "KGT_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)[:100]


@pytest.fixture
def run(address: str, user: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command as the test's own user; returns what it printed."""

    def run(command: str, *arguments: str) -> str:
        status = main([command, "-u", user, "--server", address, *arguments])
        printed = capsys.readouterr()
        assert (status, printed.err) == (0, "")
        return printed.out

    return run


def document(printed: str) -> Mapping[str, Any]:
    """The one JSON document that was printed."""
    assert printed.count("\n") == 1
    parsed: Mapping[str, Any] = json.loads(printed)
    return parsed


def corrected(run: Run, answer: str = "vegetables") -> str:
    """Makes a correction; returns the edit's id."""
    return str(document(run("personalize", "--json", ENJOY, answer))["edit"]["id"])


# Each command, for people and for programs


def test_personalize(run: Run) -> None:
    shown = run("personalize", ENJOY, "vegetables")
    assert "meat -> vegetables" in shown
    assert "(dog, Desires, vegetables)" in shown
    assert "(dog, Desires, meat)" in shown
    assert "loss (Eq. 7)" in shown
    assert "stopped: overtook, revision 1, edit " in shown
    assert "forward passes" in shown
    again = document(run("personalize", "--json", ENJOY, "vegetables"))
    assert again["stop_reason"] == "STOP_REASON_ALREADY_CORRECT"
    assert again["edit"]["id"] == ""


def test_personalize_takes_every_option(run: Run) -> None:
    preview = document(
        run(
            "personalize", "--json", "--preview", "--no-verify", "--subject", "dog", "--object", "fish",
            "--relation", "likes", "--relation", "has a", "--expected-revision", "0", "-k", "3",
            "--stopping", "literal", "--removal", "literal", "--relation-source", "ranked", "--epsilon", "50",
            "--request-id", "r-1", ENJOY, "fish",
        )
    )  # fmt: skip
    assert preview["preview"] is True
    assert {c["triple"]["relation"] for c in preview["considered"]} == {"Desires", "HasA"}
    assert document(run("edits", "--json"))["edits"] == []
    assert "preview, nothing committed" in run("personalize", "--preview", ENJOY, "fish")


def test_answer(run: Run) -> None:
    corrected(run)
    shown = run("answer", FEED, "--candidate", "meat", "--candidate", "vegetables")
    assert shown.startswith("vegetables\n")
    assert "(dog, Desires, vegetables)" in shown
    assert "P(a|q)" in shown
    assert "subject 'dog', revision 1" in shown
    before = document(
        run("answer", "--json", "--at-revision", "0", "--subject", "dog", "--max-tokens", "5", "--temperature", "0.5",
            "--seed", "1", FEED)
    )  # fmt: skip
    assert (before["text"], before["revision"]) == ("meat", "0")


def test_neighborhood(run: Run) -> None:
    corrected(run)
    shown = run("neighborhood", "dog")
    assert sorted(line.split()[:4] for line in shown.splitlines()[1:3]) == [
        ["+", "dog", "Desires", "vegetables"], ["-", "dog", "Desires", "meat"],
    ]  # fmt: skip
    assert "kennel" in shown
    page = document(run("neighborhood", "--json", "--page-size", "1", "--at-revision", "1", "dog"))
    assert len(page["triples"]) == 1
    more = run(
        "neighborhood",
        "--page-size",
        "1",
        "--at-revision",
        "1",
        "--page-token",
        page["next_page_token"],
        "dog",
    )
    assert ("vegetables" in more) != (page["triples"][0]["triple"]["tail"] == "vegetables")
    assert "more: --page-token" in more


def test_facts(run: Run) -> None:
    edit_id = corrected(run)
    shown = run("facts")
    assert "(dog, Desires, vegetables)" in shown
    assert edit_id in shown
    origins = {f["triple"]["tail"]: f["origin"] for f in document(run("facts", "--json"))["facts"]}
    assert origins == {"vegetables": "ORIGIN_ADDED", "meat": "ORIGIN_REMOVED"}


def test_edit(run: Run) -> None:
    shown = run("edit", "--add", "Luna", "likes", "tuna", "--remove", "dog", "likes", "meat")
    assert shown.startswith("revision 1")
    assert "facts" in shown
    assert "(Luna, Desires, tuna)" in shown
    once = [
        document(run("edit", "--json", "--add", "Luna", "is a", "cat", "--request-id", "r"))
        for _ in range(2)
    ]
    assert once[0] == once[1]
    assert once[0]["edit"]["revision"] == "2"
    assert run("edit", "--add", "Luna", "is a", "cat") == "nothing to change\n"


def test_edits(run: Run) -> None:
    assert run("edits") == "no edits\n"
    ids = [corrected(run), corrected(run, "fish")]
    shown = run("edits")
    assert shown.index(ids[1]) < shown.index(ids[0])
    assert f"{ENJOY} -> fish" in shown
    assert [e["id"] for e in document(run("edits", "--json"))["edits"]] == ids[::-1]


def test_revert(run: Run) -> None:
    first, second = corrected(run), corrected(run, "fish")
    skipped = document(run("revert", "--json", "--skip-conflicts", first))
    assert [edit_id for s in skipped["skipped"] for edit_id in s["edit_ids"]].count(second) == len(
        skipped["skipped"]
    )
    shown = run("revert", second)
    assert f"revert  {document(run('edits', '--json'))['edits'][0]['id']}  of {second}" in shown
    assert run("answer", ENJOY).startswith("vegetables\n")


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


# Help, environment, errors


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_that_can_be_typed(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    example = shlex.split(shown.partition("example: ")[2])
    assert example[:2] == ["kgt", command]
    _parser().parse_args(example[1:])


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert tuple(re.findall(r"^    (\w+)", shown, re.MULTILINE)) == COMMANDS


def test_user_and_server_come_from_the_environment(
    address: str, user: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KGT_USER", user)
    monkeypatch.setenv("KGT_SERVER", address)
    assert main(["answer", ENJOY]) == 0
    assert capsys.readouterr().out.startswith("meat\n")


def test_a_command_without_a_user_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["facts"])
    assert ended.value.code == 2
    assert "--user" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["answer", ""], "kgt: InvalidArgument (INVALID_FIELD): query"),
        (
            ["answer", "--temperature", "-1", ENJOY],
            "kgt: InvalidArgument (INVALID_FIELD): temperature",
        ),
        (["revert", "nothing"], "kgt: NotFound (UNKNOWN_EDIT): "),
        (["personalize", "-k", "99999999999", ENJOY, "fish"], "kgt: "),
        (
            ["personalize", "--expected-revision", "1", ENJOY, "fish"],
            "kgt: Aborted (REVISION_MOVED): ",
        ),
        (["facts", "--page-token", "nonsense"], "kgt: NotFound (UNKNOWN_PAGE_TOKEN): "),
        (["answer", "--timeout", "0", ENJOY], "kgt: DeadlineExceeded"),
        (["edit", "--add", "dog", "likes", "\udcff"], "kgt: "),
        (["import", "other.jsonl"], "kgt: InvalidArgument (MALFORMED_EXPORT): lines"),
        (["export", "no/such/folder/file.jsonl"], "kgt: "),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_what_fails_is_said_on_stderr_without_a_trace(
    address: str,
    user: str,
    arguments: list[str],
    complaint: str,
    as_json: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.jsonl").write_text('{"no": "header"}\n')
    command, *rest = arguments
    status = main(
        [command, "-u", user[:50], "--server", address, *(["--json"] if as_json else []), *rest]
    )
    printed = capfd.readouterr()
    assert status == 1
    assert printed.out == ""
    assert printed.err.startswith(complaint)
    assert "Traceback" not in printed.err
    assert printed.err.count("\n") == 1


def test_a_server_that_is_not_there_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with scripted_server(Script()) as gone:
        pass
    assert main(["answer", "-u", "alice", "--server", gone, ENJOY]) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("kgt: Unavailable")
    assert "Traceback" not in printed.err


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


# What was named wrongly


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
def test_a_file_that_cannot_be_imported_is_told_in_a_line(
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
def test_marks_and_line_ends_of_other_programs_are_no_text(
    run: Run, tmp_path: Path, user: str, mark: bytes, line_end: str
) -> None:
    corrected(run)
    run("edit", "--add", "Zoë", "likes", "one\u2028two")
    file = tmp_path / "overlay.jsonl"
    run("export", str(file))
    file.write_bytes(mark + file.read_text(encoding="utf-8").replace("\n", line_end).encode())
    assert run("import", "-u", f"{user[:90]} other", str(file)).startswith("2 edits taken in")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "kgt: the following arguments are required: COMMAND"),
        (["sing"], "kgt: argument COMMAND: invalid choice: 'sing'"),
        (["answer", "-u", "alice"], "kgt answer: the following arguments are required: query"),
        (
            ["facts", "-u", "alice", "--server", "nonsense"],
            "kgt facts: argument --server: is host:port",
        ),
        (
            ["facts", "-u", "alice", "--server", "127.0.0.1:５"],
            "kgt facts: argument --server: is host:port",
        ),
        (
            ["facts", "-u", "alice", "--server", "127.0.0.1:0"],
            "kgt facts: argument --server: has port 0",
        ),
        (
            ["facts", "-u", "alice", "--timeout", "soon"],
            "kgt facts: argument --timeout: is a number of seconds",
        ),
        (
            ["facts", "-u", "alice", "--timeout", "nan"],
            "kgt facts: argument --timeout: is a number of seconds",
        ),
        (
            ["facts", "-u", "alice", "--timeout", "-1"],
            "kgt facts: argument --timeout: is a number of seconds",
        ),
        (
            ["facts", "-u", "alice", "\x1b]0;x\x07\n"],
            r"kgt: unrecognized arguments: \x1b]0;x\x07\n",
        ),
    ],
)
def test_wrong_usage_is_told_in_a_line(
    arguments: list[str], complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capfd.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert printed.err.startswith(complaint)
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("name", ["KGT_ADDRESS", "KGT_SERVER"])
def test_either_variable_names_the_server(
    name: str, address: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, address.replace("127.0.0.1", "0.0.0.0"))
    assert main(["facts", "-u", "alice"]) == 0
    monkeypatch.setenv(name, "nonsense")
    capfd.readouterr()
    assert main(["facts", "-u", "alice"]) == 2
    assert capfd.readouterr().err == (
        "kgt: the server's address is host:port, such as 127.0.0.1:50051 (KGT_ADDRESS, KGT_SERVER)\n"
    )
    assert main(["facts", "-u", "alice", "--server", address]) == 0, (
        "a flag counts before variables"
    )


def test_variables_that_name_different_servers_are_told(
    address: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KGT_ADDRESS", address)
    monkeypatch.setenv("KGT_SERVER", "127.0.0.1:1")
    assert main(["facts", "-u", "alice"]) == 2
    printed = capfd.readouterr().err
    assert "KGT_ADDRESS and KGT_SERVER name different servers" in printed
    assert printed.count("\n") == 1


# A proxy


@pytest.mark.parametrize(
    "name", ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "grpc_proxy"]
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost", "127.1.2.3", "0.0.0.0"])
def test_a_server_on_this_machine_is_not_asked_through_a_proxy(
    name: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with scripted_server(Script(), "0.0.0.0") as address:
        assert main(["facts", "-u", "alice", "--server", address.replace("127.0.0.1", host)]) == 0


# Ends


@pytest.mark.parametrize(
    "point", ["kgt.command.run", "kgt.command._parser", "kgt.command.Client", "kgt.command.facts"]
)
def test_ctrl_c_at_any_moment_is_a_line(
    point: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(point, pressed)
    try:
        assert main(["facts", "-u", "alice"]) == 130
    finally:
        signal.signal(signal.SIGINT, handler)
    assert capfd.readouterr() == ("", "kgt: stopped\n")


@pytest.mark.parametrize("arguments", [["facts"], ["facts", "--json"], ["export"]])
def test_a_full_disk_is_told_in_a_line(address: str, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = kgt(address, *arguments, stdout=full)
    assert (done.returncode, done.stderr) == (1, "kgt: No space left on device\n")


@pytest.mark.parametrize("arguments", [["facts"], ["facts", "--json"], ["export"]])
def test_a_reader_that_has_seen_enough_is_no_failure(address: str, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = kgt(address, *arguments, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_terminal_s_encoding_lacks_is_written_out(
    run: Run, address: str, user: str
) -> None:
    run("edit", "--add", "Zoë", "likes", "緑茶")
    done = kgt(
        address, "facts", user=user, stdout=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"(Zo\xeb, Desires, \u7dd1\u8336)" in done.stdout


def kgt(
    address: str,
    *arguments: str,
    stdout: Any,
    user: str = "somebody",
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "kgt", *arguments, "-u", user, "--server", address]
    return subprocess.run(
        command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        env={**os.environ, **(env or {})},
    )  # fmt: skip
