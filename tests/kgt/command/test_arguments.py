"""Help, flags and variables, and how wrong ones are reported."""

from __future__ import annotations

import re
import shlex

import pytest

from kgt.__main__ import main
from kgt.command.parser import parser
from tests.rpc.running import ENJOY

COMMANDS = (
    "chat",
    "personalize",
    "learn",
    "answer",
    "retrieve",
    "neighborhood",
    "facts",
    "edit",
    "edits",
    "revert",
    "export",
    "import",
    "erase",
)


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
    parser().parse_args(example[1:])


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
            "kgt facts: argument --timeout: is a number of seconds above 0",
        ),
        (
            ["facts", "-u", "alice", "--timeout", "nan"],
            "kgt facts: argument --timeout: is a number of seconds above 0",
        ),
        (
            ["facts", "-u", "alice", "--timeout", "0"],
            "kgt facts: argument --timeout: is a number of seconds above 0",
        ),
        (
            ["facts", "-u", "alice", "--timeout", "-1"],
            "kgt facts: argument --timeout: is a number of seconds above 0",
        ),
        (
            ["facts", "-u", "alice", "\x1b]0;x\x07\n"],
            r"kgt: unrecognized arguments: \x1b]0;x\x07\n",
        ),
    ],
)
def test_wrong_usage_is_reported_in_one_line(
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
        "kgt: the server's address is host:port, such as 127.0.0.1:50051"
        " (KGT_ADDRESS, KGT_SERVER)\n"
    )
    assert main(["facts", "-u", "alice", "--server", address]) == 0, (
        "a flag counts before variables"
    )


def test_variables_that_name_different_servers_are_reported(
    address: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KGT_ADDRESS", address)
    monkeypatch.setenv("KGT_SERVER", "127.0.0.1:1")
    assert main(["facts", "-u", "alice"]) == 2
    printed = capfd.readouterr().err
    assert "KGT_ADDRESS and KGT_SERVER name different servers" in printed
    assert printed.count("\n") == 1
