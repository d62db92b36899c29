"""The socket of a server that speaks HTTP, and how its address reads in a URL."""

from __future__ import annotations

import socket

from kgt.addresses import Address


def listen(address: Address) -> socket.socket:
    """A socket that listens at the address. Raises OSError."""
    family, kind, protocol, _, where = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    )[0]
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(where)
    bound.listen()  # from here on a caller waits instead of being refused
    return bound


def url_of(address: Address, bound: socket.socket) -> str:
    """The URL at which the socket is reached. Its port is the one that was taken."""
    named = f"[{address.host}]" if ":" in address.host else address.host
    return f"http://{named}:{bound.getsockname()[1]}"
