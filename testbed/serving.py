"""A server in this process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from server.rpc.load import Load
from server.rpc.service import UseCases
from server.rpc.serving import Probes, new_server


@contextlib.asynccontextmanager
async def served(
    use_cases: UseCases, load: Load | None = None
) -> AsyncIterator[tuple[str, Probes]]:
    """The address and the probes of a server on a free port of loopback, until the block ends."""
    server, probes = new_server(use_cases, load)
    port = server.add_insecure_port("127.0.0.1:0")
    await probes.set(serving=True)
    await server.start()
    try:
        yield f"127.0.0.1:{port}", probes
    finally:
        await server.stop(None)
