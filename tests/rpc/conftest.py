from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kgt.client import AsyncClient
from tests.rpc.running import Running, running


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as started:
        yield started


@pytest.fixture
def client(service: Running) -> AsyncClient:
    return service.client
