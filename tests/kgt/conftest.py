"""What the tests of the MCP server, of the console and of the command share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from demo.identity import Tokens
from kgt.client.access import Access
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


@dataclass(frozen=True)
class Guarded:
    """A service with TLS that asks who calls."""

    address: str
    tokens: Tokens

    def access(self, user: str | None, *scopes: str) -> Access:
        """What a client of `user` connects with; without a token for None."""
        access = self.tokens.access(None)
        if user is not None:
            access["token"] = self.tokens.issuer.token(user, *scopes)
        return access


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A service that asks who calls, in a process of its own. Each test has users of its own."""
    folder = tmp_path_factory.mktemp("guarded")
    build_base(folder, BASE, VOCABULARY)
    tokens = Tokens(folder)
    with server_process("tests.rpc.fixed_server", folder, *tokens.server_arguments) as server:
        yield Guarded(server.address, tokens)
