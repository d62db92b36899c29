"""The server's port, or one line that says why it cannot have it."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Any

import grpc.aio

from kgt.addresses import Address
from server.errors import StartupError


def listen(
    server: grpc.aio.Server, address: Address, credentials: grpc.ServerCredentials | None = None
) -> int:
    """Give `server` its port and return it. Raises StartupError."""
    _require_free(address)
    try:
        if credentials is not None:
            return server.add_secure_port(address.text, credentials)
        return server.add_insecure_port(address.text)
    except RuntimeError as error:  # another server was faster
        raise StartupError(_TAKEN.format(address.text)) from error


_TAKEN = "cannot listen on {}: another server is there (KGT_ADDRESS)"


def _require_free(address: Address) -> None:
    """Raise StartupError unless every address of the host is free.

    gRPC is content with one of them. A second server on localhost would get ::1 if the first one
    has only 127.0.0.1.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise StartupError(
            f"cannot listen on {address.text}: there is no such host (KGT_ADDRESS)"
        ) from error
    refused = [why for family, _, _, _, at in found if (why := _refusal(family, at))]
    if errno.EADDRINUSE in refused:
        raise StartupError(_TAKEN.format(address.text))
    if errno.EACCES in refused:
        raise StartupError(
            f"cannot listen on {address.text}: this port is not for this user (KGT_ADDRESS)"
        )
    if len(refused) == len(found):
        raise StartupError(
            f"cannot listen on {address.text}: this machine has no such address (KGT_ADDRESS)"
        )


def _refusal(family: int, at: Any) -> int | None:
    """Why a socket cannot be bound to this address, as an errno; None if it can."""
    try:
        with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            # gRPC sets this too, so that connections of a server that has just ended do not matter.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(at)
    except OSError as error:
        return error.errno
    return None
