"""A gRPC server with everything that a stranger's client expects: the service, health, reflection."""

from __future__ import annotations

from typing import Any

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc
from server.rpc.interceptors import Boundary
from server.rpc.service import PersonalizationService, UseCases

SERVICE = pb.DESCRIPTOR.services_by_name["PersonalizationService"].full_name
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class Probes:
    """What the standard health service answers, for the server as a whole and for the service by name."""

    def __init__(self) -> None:
        # grpc-stubs knows the blocking servicer alone.
        self.servicer: Any = health.aio.HealthServicer()  # type: ignore[attr-defined]

    async def set(self, *, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in ("", SERVICE):
            await self.servicer.set(service, status)

    async def stop(self) -> None:
        """NOT_SERVING from now on, whatever is set."""
        await self.servicer.enter_graceful_shutdown()


def new_server(use_cases: UseCases) -> tuple[grpc.aio.Server, Probes]:
    """A server without a port yet, and its probes, which answer UNKNOWN until set."""
    # Without SO_REUSEPORT a second server on the same port is an error and not a silent rival.
    server = grpc.aio.server(interceptors=[Boundary("kgt.v1")], options=[("grpc.so_reuseport", 0)])
    probes = Probes()
    pb_grpc.add_PersonalizationServiceServicer_to_server(PersonalizationService(use_cases), server)
    health_pb2_grpc.add_HealthServicer_to_server(probes.servicer, server)
    reflection.enable_server_reflection((SERVICE, _HEALTH, reflection.SERVICE_NAME), server)
    return server, probes
