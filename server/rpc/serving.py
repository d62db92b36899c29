"""A gRPC server with all that a client may expect: the service, health and reflection."""

from __future__ import annotations

from typing import Any

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc
from server.rpc.identity.callers import Anyone, Callers
from server.rpc.interceptors import Boundary
from server.rpc.load import Load
from server.rpc.probing import Probing
from server.rpc.rates import Rates
from server.rpc.service import PersonalizationService, UseCases
from server.tuning.ports import Sight
from server.tuning.watching import UNSEEN

SERVICE = pb.DESCRIPTOR.services_by_name["PersonalizationService"].full_name
_PACKAGE = pb.DESCRIPTOR.package
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class Probes:
    """What the standard health service answers, for the whole server and for the service."""

    def __init__(self) -> None:
        # grpc-stubs only knows the blocking servicer.
        self.servicer: Any = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self.serving = False

    async def set(self, *, serving: bool) -> None:
        status = (
            health_pb2.HealthCheckResponse.SERVING
            if serving
            else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        self.serving = serving
        for service in ("", SERVICE):
            await self.servicer.set(service, status)

    async def stop(self) -> None:
        """Answer NOT_SERVING from now on, whatever is set later."""
        self.serving = False
        await self.servicer.enter_graceful_shutdown()


def new_server(
    use_cases: UseCases,
    load: Load | None = None,
    callers: Callers | None = None,
    rates: Rates | None = None,
    *,
    sight: Sight = UNSEEN,
) -> tuple[grpc.aio.Server, Probes]:
    """A server that has no port yet, and its probes, which answer UNKNOWN until they are set.

    Without `rates`, callers may call as often as they like.
    """
    load = load or Load()
    service = PersonalizationService(use_cases, load)
    return server_of(service, load, callers or Anyone(), rates or Rates(), sight=sight)


def server_of(
    service: PersonalizationService,
    load: Load,
    callers: Callers,
    rates: Rates,
    *,
    sight: Sight = UNSEEN,
) -> tuple[grpc.aio.Server, Probes]:
    """A server of this service, and its probes."""
    server = grpc.aio.server(
        interceptors=[
            Boundary(_PACKAGE, load, callers, rates, sight),
            Probing(_PACKAGE, callers, load),
        ],
        options=_options(load),
        # Calls and probes are each refused before gRPC does it, with the reason, and neither takes
        # the other's places.
        maximum_concurrent_rpcs=load.calls + load.probes,
    )
    probes = Probes()
    pb_grpc.add_PersonalizationServiceServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(probes.servicer, server)
    reflection.enable_server_reflection((SERVICE, _HEALTH, reflection.SERVICE_NAME), server)
    return server, probes


def _options(load: Load) -> list[tuple[str, int]]:
    return [
        # A second server on the same port is an error, not a silent rival.
        ("grpc.so_reuseport", 0),
        ("grpc.max_allowed_incoming_connections", load.connections),
        ("grpc.max_concurrent_streams", load.connection_calls),
        # The size of a message. The default is gRPC's, and the contract promises no more.
        ("grpc.max_receive_message_length", load.message_bytes),
        # The names and values of a request's metadata, of which only the token, the trace and the
        # call's id are read.
        ("grpc.max_metadata_size", 8 << 10),
        ("grpc.absolute_max_metadata_size", 16 << 10),
        # If a caller's machine disappears, its calls end after both of these times.
        ("grpc.keepalive_time_ms", _ms(load.keepalive_s)),
        ("grpc.keepalive_timeout_ms", _ms(load.keepalive_timeout_s)),
        ("grpc.keepalive_permit_without_calls", 1),
        # Callers may ping too, even without a call.
        ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
        # A connection without a call is closed, as is one that never speaks HTTP/2 (handshake,
        # below).
        ("grpc.max_connection_idle_ms", _ms(load.connection_idle_s)),
        # A caller that stopped reading can hold a connection no longer than these two together.
        ("grpc.max_connection_age_ms", _ms(load.connection_age_s)),
        ("grpc.max_connection_age_grace_ms", _ms(load.connection_grace_s)),
        ("grpc.server_handshake_timeout_ms", _ms(load.handshake_s)),
    ]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
