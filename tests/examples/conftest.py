"""A service and an endpoint over one and the same model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.rpc.identity.keys import KeyFile
from server.rpc.identity.tokens import TokenCallers, TokenRules
from testbed.keys import Issuer, key_set, replaced
from tests.examples.endpoint import Endpoint, running_endpoint
from tests.rpc.running import Running, running


@dataclass(frozen=True)
class Guarded:
    """A service that asks who calls, an endpoint, and what says in the environment: alice."""

    service: Running
    endpoint: Endpoint
    environment: Mapping[str, str]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as started:
        yield started


@pytest.fixture
async def endpoint(service: Running) -> AsyncIterator[Endpoint]:
    async with running_endpoint(service.model) as started:
        yield started


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    issuer = Issuer()
    rules = TokenRules(issuer.name, issuer.audience, frozenset({"ES256"}), 30.0)
    keys = KeyFile(replaced(tmp_path / "keys", key_set(issuer)))
    token = issuer.token("alice")
    async with (
        running(tmp_path, callers=TokenCallers(rules, keys), access={"token": token}) as service,
        running_endpoint(service.model) as endpoint,
    ):
        yield Guarded(service, endpoint, {"KGT_TOKEN": token})
