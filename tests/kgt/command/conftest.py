"""A server for the commands to call, and a user for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kgt.__main__ import main
from testbed.bases import build_base
from testbed.processes import server_process
from tests.kgt.command.running import Run
from tests.rpc.running import BASE, VOCABULARY


@pytest.fixture(scope="package")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("data")
    build_base(folder, BASE, VOCABULARY)
    with server_process("tests.rpc.fixed_server", folder) as server:
        yield server.address


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *("KGT_USER", "KGT_SERVER", "KGT_ADDRESS", "KGT_TOKEN", "KGT_TOKEN_FILE"),
        *("KGT_TLS_CA", "KGT_TLS_CERTIFICATE", "KGT_TLS_KEY"),
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)[:100]


@pytest.fixture
def run(address: str, user: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command as the test's own user, and returns what it printed."""

    def run(command: str, *arguments: str) -> str:
        status = main([command, "-u", user, "--server", address, *arguments])
        printed = capsys.readouterr()
        assert (status, printed.err) == (0, "")
        return printed.out

    return run
