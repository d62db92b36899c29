"""python -m server.health [HOST:PORT]: ask a running server whether it serves; exit status 0 when it does.

For health checks of containers. The port is KGT_ADDRESS's when none is given.
"""

from __future__ import annotations

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_TIMEOUT_S = 4.0


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    address = arguments[0] if arguments else os.environ.get("KGT_ADDRESS", "127.0.0.1:50051")
    address = address.replace("0.0.0.0:", "127.0.0.1:", 1)
    with grpc.insecure_channel(address) as channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            print(f"{address}: {error.code().name}")
            return 1
    print(f"{address}: {health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)}")
    return 0 if response.status == health_pb2.HealthCheckResponse.SERVING else 1


if __name__ == "__main__":
    raise SystemExit(main())
