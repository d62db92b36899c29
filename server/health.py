"""Ask a running server whether it serves: `python -m server.health [HOST:PORT]`.

Containers use it as their health check. Without an argument it asks the server that KGT_ADDRESS
(or KGT_SERVER) names.
"""

from __future__ import annotations

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kgt.addresses import (
    DEFAULT_ADDRESS,
    Address,
    InvalidAddress,
    channel_options,
    for_client,
    named_address,
)

_TIMEOUT_S = 4.0
SERVING: str = health_pb2.HealthCheckResponse.ServingStatus.Name(
    health_pb2.HealthCheckResponse.SERVING
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0 is a server that serves, 1 one that does not, and 2 an address that cannot be used.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        address = for_client(
            arguments[0] if arguments else named_address(os.environ) or DEFAULT_ADDRESS
        )
    except InvalidAddress as error:
        print(f"kgt: the address {error}", file=sys.stderr)
        return 2
    status = status_of(address)
    print(f"{address.text}: {status}")
    return 0 if status == SERVING else 1


def status_of(address: Address) -> str:
    """The answer of a server's health service, or the name of the gRPC status that came instead."""
    with grpc.insecure_channel(address.text, options=channel_options(address)) as channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S
            )
        except grpc.RpcError as error:
            return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))


if __name__ == "__main__":
    raise SystemExit(main())
