"""A service and an endpoint over one and the same model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.examples.endpoint import Endpoint, running_endpoint
from tests.rpc.running import Running, running


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as started:
        yield started


@pytest.fixture
async def endpoint(service: Running) -> AsyncIterator[Endpoint]:
    async with running_endpoint(service.model) as started:
        yield started
