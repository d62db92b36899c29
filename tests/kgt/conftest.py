"""What the tests of the MCP server and of the console share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.bases import build_base
from testbed.processes import server_process
from tests.rpc.running import BASE, VOCABULARY


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service with known answers, in a process of its own.

    Each test has users of its own.
    """
    folder = tmp_path_factory.mktemp("service")
    build_base(folder, BASE, VOCABULARY)
    with server_process("tests.rpc.fixed_server", folder) as server:
        yield server.address
