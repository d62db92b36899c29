"""How a command ends: a failure is one line on stderr, and the exit status says which kind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from kgt.__main__ import main
from tests.kgt.command.running import Run, kgt
from tests.kgt.conftest import Guarded
from tests.kgt.scripted_server import Script, scripted_server
from tests.rpc.running import ENJOY

FIXED = "tests.rpc.fixed_server"


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
        (["answer", "--timeout", "1e-9", ENJOY], "kgt: DeadlineExceeded"),
        (["edit", "--add", "dog", "likes", "\udcff"], "kgt: "),
        (["import", "other.jsonl"], "kgt: InvalidArgument (MALFORMED_EXPORT): lines"),
        (["export", "no/such/folder/file.jsonl"], "kgt: "),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_failure_is_reported_on_stderr_without_a_trace(
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


def test_a_server_that_is_not_there_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    with scripted_server(Script()) as gone:
        pass
    assert main(["answer", "-u", "alice", "--server", gone, ENJOY]) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("kgt: Unavailable")
    assert "Traceback" not in printed.err


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


@pytest.mark.parametrize(
    "point",
    [
        "kgt.command.run.run",
        "kgt.command.run.parser",
        "kgt.command.run.Client",
        "kgt.command.facts.facts",
    ],
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
def test_a_full_disk_is_reported_in_one_line(address: str, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = kgt(address, *arguments, stdout=full)
    assert (done.returncode, done.stderr) == (1, "kgt: No space left on device\n")


@pytest.mark.parametrize("arguments", [["facts"], ["facts", "--json"], ["export"]])
def test_a_reader_that_has_seen_enough_is_not_a_failure(address: str, arguments: list[str]) -> None:
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


def test_the_environment_proves_who_calls(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KGT_USER", "alice")
    monkeypatch.setenv("KGT_SERVER", guarded.address)
    monkeypatch.setenv("KGT_TLS_CA", str(guarded.access(None)["root_certificates"]))
    assert main(["facts"]) == 1
    assert capsys.readouterr().err.startswith("kgt: Unauthenticated (TOKEN_MISSING): ")
    monkeypatch.setenv("KGT_TOKEN_FILE", "no/such/token")
    assert main(["facts"]) == 1
    assert capsys.readouterr().err.startswith("kgt: Unauthenticated: no token can be read: no/su")
    monkeypatch.delenv("KGT_TOKEN_FILE")
    monkeypatch.setenv("KGT_TOKEN", str(guarded.access("alice")["token"]))
    assert main(["answer", ENJOY]) == 0
    assert "meat" in capsys.readouterr().out
    assert main(["facts", "-u", "bob"]) == 1
    assert capsys.readouterr().err.startswith("kgt: PermissionDenied (NOT_THIS_USER): ")


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"KGT_TOKEN": "secret", "KGT_SERVER": "kgt.example.org:1"}, "in the clear"),
        ({"KGT_TOKEN": "secret", "KGT_TOKEN_FILE": "file"}, "set one of them"),
        ({"KGT_TLS_CA": "no/such/file"}, "no/such/file: "),
        ({"KGT_TLS_KEY": "no/such/file"}, "belong together"),
    ],
)
def test_a_proof_that_cannot_be_used_is_reported_in_one_line(
    environment: dict[str, str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["facts", "-u", "alice"]) == 2
    printed = capsys.readouterr().err
    assert (complaint in printed, "secret" in printed, printed.count("\n")) == (True, False, 1)
