"""A server in this process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import grpc

from server.rpc.identity.callers import Callers
from server.rpc.load import Load
from server.rpc.rates import Rates
from server.rpc.service import UseCases
from server.rpc.serving import Probes, new_server
from server.tuning.ports import Sight
from server.tuning.watching import UNSEEN


@contextlib.asynccontextmanager
async def served(
    use_cases: UseCases,
    load: Load | None = None,
    callers: Callers | None = None,
    credentials: grpc.ServerCredentials | None = None,
    rates: Rates | None = None,
    *,
    sight: Sight = UNSEEN,
) -> AsyncIterator[tuple[str, Probes]]:
    """The address and the probes of a server on a free port of loopback, until the block ends."""
    server, probes = new_server(use_cases, load, callers, rates, sight=sight)
    free = "127.0.0.1:0"
    port = (
        server.add_secure_port(free, credentials) if credentials else server.add_insecure_port(free)
    )
    await probes.set(serving=True)
    await server.start()
    try:
        yield f"127.0.0.1:{port}", probes
    finally:
        await server.stop(None)
