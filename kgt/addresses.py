"""Addresses of servers: how they are written, and which variable names one.

An address is `host:port`, with an IPv6 host in brackets. A client also takes `unix:PATH`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_ADDRESS = "127.0.0.1:50051"
VARIABLES = ("KGT_ADDRESS", "KGT_SERVER")
"""Either variable names the server: for the server itself, its clients and its probe.

The first is the documented one.
"""

_HIGHEST_PORT = 65535
_UNIX = "unix:"
_DNS = "dns:///"
# People type addresses and programs compare them, so digits are ASCII: \d would match any script's.
_HOST_AND_PORT = re.compile(
    r"(\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?\]|[A-Za-z0-9._-]+):([0-9]{1,5})"
)
_LAST_LABEL_IS_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")


class InvalidAddress(ValueError):
    """The text is not a server's address, or not one that can be used here."""


@dataclass(frozen=True, slots=True)
class Address:
    """A checked address. `host` has no brackets, and is empty for a `unix:` socket."""

    text: str
    host: str
    port: int

    @staticmethod
    def parse(text: str) -> Address:
        """Parse `host:port`, with a port from 0 to 65535. Raises InvalidAddress."""
        match = _HOST_AND_PORT.fullmatch(text)
        if match is None or int(match[2]) > _HIGHEST_PORT or text.startswith(_UNIX):
            raise InvalidAddress(f"is host:port, such as {DEFAULT_ADDRESS}")
        host = match[1].strip("[]")
        if (match[1] != host or _LAST_LABEL_IS_A_NUMBER.fullmatch(host)) and _ip(host) is None:
            raise InvalidAddress("starts with something that is neither a name nor an IP address")
        return Address(text, host, int(match[2]))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.text.startswith(_UNIX) or self.host.removesuffix(".").lower() == "localhost":
            return True
        ip = _ip(self.host)
        return ip is not None and ip.is_loopback


def for_client(text: str) -> Address:
    """Parse the address that a client connects to. Raises InvalidAddress.

    A server may listen on every interface (`0.0.0.0`); for a client that means loopback.
    """
    if text.startswith(_UNIX):
        if not text.removeprefix(_UNIX).strip("/"):
            raise InvalidAddress("is unix: and the path of a socket")
        return Address(text, "", 0)
    address = Address.parse(text.removeprefix(_DNS))  # gRPC looks names up in DNS anyway
    if address.port == 0:
        raise InvalidAddress(
            "has port 0, which makes a server choose a free port: name the port that it chose"
        )
    ip = _ip(address.host)
    if ip is None or not ip.is_unspecified:
        return address
    host = "127.0.0.1" if ip.version == 4 else "::1"
    return Address(
        f"[{host}]:{address.port}" if ip.version == 6 else f"{host}:{address.port}",
        host,
        address.port,
    )


def channel_options(address: Address) -> list[tuple[str, int]]:
    """The gRPC options of a channel to `address`: no proxy for a server on this machine."""
    return [("grpc.enable_http_proxy", 0)] if address.is_loopback else []


def named_address(environment: Mapping[str, str]) -> str | None:
    """The address in `environment`, or None. Raises InvalidAddress if the variables differ."""
    named = [value for name in VARIABLES if (value := environment.get(name))]
    if len({_compared(text) for text in named}) > 1:
        raise InvalidAddress(f"{' and '.join(VARIABLES)} name different servers: set one of them")
    return named[0] if named else None


def _compared(text: str) -> str:
    """What a client would connect to. An invalid address is reported only where it is used."""
    try:
        return for_client(text).text.lower()
    except InvalidAddress:
        return text


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that `host` spells, or None if it is a name.

    An IPv4 address mapped into IPv6 is returned as IPv4.
    """
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip
