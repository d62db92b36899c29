"""For whoever runs the service: whether store and model answer, and whose page to show."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from starlette.responses import RedirectResponse, Response

from kgt.client.access import with_token
from kgt.client.asynchronous_overlay import open_channel
from kgt.console.visit import Site, Visit, remember_user
from kgt.errors import CallError, Unauthenticated
from kgt.v1 import personalization_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["PersonalizationService"].full_name
_QUESTION = "What is known here?"
_NOBODY = "kgt.console"
"""An operator's console asks store and model for this user, so that nobody's facts are read."""
_PATIENCE_S = 5.0
_NAMES = {"": "Server", SERVICE: "Personalization"}


@dataclass(frozen=True, slots=True)
class Health:
    """What the standard health service says about one service."""

    name: str
    service: str
    status: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A call that was made to see whether it works: how long it took, or why it failed."""

    duration_ms: float
    response: Any = None
    failure: str = ""
    retry_after_s: float | None = None


async def show(visit: Visit) -> Response:
    """The page about the service, as far as the service tells."""
    client = visit.client.within(_PATIENCE_S)
    # One user's console may be allowed to ask for nobody else.
    user = visit.site.user or _NOBODY
    health, store, model = await asyncio.gather(
        _healths(visit.site),
        _probed(client.list_facts(user=user, page_size=1)),
        _probed(client.answer(user=user, query=_QUESTION, max_tokens=1)),
    )
    return visit.page(
        "service.html", health=health, store=store, model=model, version=version("kgt")
    )


async def ask_user(visit: Visit) -> Response:
    """The page that asks whose page to show."""
    if visit.site.user is not None:
        return RedirectResponse("/", 303)
    return visit.page("user.html")


async def set_user(visit: Visit) -> Response:
    """Show somebody's page from now on, where the console is for an operator."""
    if visit.site.user is None and (user := visit.said("user")):
        remember_user(visit.request, user)
        return RedirectResponse("/", 303)
    return await ask_user(visit)


async def _healths(site: Site) -> list[Health]:
    """What the health service says about the server and about its one service."""
    async with open_channel(site.service, site.access) as channel:
        stub = with_token(health_pb2_grpc.HealthStub(channel), site.access.get("token"))
        found = await asyncio.gather(*(_status(stub, service) for service in _NAMES))
    return [
        Health(name, service, status)
        for (service, name), status in zip(_NAMES.items(), found, strict=True)
    ]


async def _status(stub: Any, service: str) -> str:
    try:
        response = await stub.Check(
            health_pb2.HealthCheckRequest(service=service), timeout=_PATIENCE_S
        )
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    except Unauthenticated:  # there is no token to send
        return str(grpc.StatusCode.UNAUTHENTICATED.name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))


async def _probed(call: Awaitable[Any]) -> Probe:
    start = time.perf_counter()
    try:
        response = await call
    except CallError as error:
        duration_ms = (time.perf_counter() - start) * 1000
        return Probe(duration_ms, None, str(error), error.retry_after_s)
    return Probe((time.perf_counter() - start) * 1000, response)
