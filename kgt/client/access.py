"""What a client proves who it is with, and how it knows the server: a token, and TLS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import grpc

from kgt.addresses import Address
from kgt.errors import Unauthenticated

Token = str | Path | Callable[[], str]
"""A token, a file that holds one, or what returns one. The last two are asked at every call, so
tokens can be renewed while the client is in use."""
Pem = bytes | Path
"""Certificates or a key in PEM, or a file of them, which is read once."""

Stub = TypeVar("Stub")
_SCHEME = "Bearer"


class Access(TypedDict, total=False):
    """The arguments of a client that say who calls, by the names that both clients have."""

    token: Token | None
    root_certificates: Pem | None
    certificate: Pem | None
    key: Pem | None


def access_in(environment: Mapping[str, str]) -> Access:
    """What the environment says: KGT_TOKEN or KGT_TOKEN_FILE, and KGT_TLS_CA, _CERTIFICATE, _KEY.

    Raises ValueError if both name a token.
    """
    access = Access()
    token, file = environment.get("KGT_TOKEN"), environment.get("KGT_TOKEN_FILE")
    if token and file:
        raise ValueError("KGT_TOKEN and KGT_TOKEN_FILE both name a token: set one of them")
    if token or file:
        access["token"] = token or Path(file or "").expanduser()
    if roots := environment.get("KGT_TLS_CA"):
        access["root_certificates"] = Path(roots).expanduser()
    if certificate := environment.get("KGT_TLS_CERTIFICATE"):
        access["certificate"] = Path(certificate).expanduser()
    if key := environment.get("KGT_TLS_KEY"):
        access["key"] = Path(key).expanduser()
    return access


def channel_credentials(
    address: Address,
    *,
    token: Token | None = None,
    root_certificates: Pem | None = None,
    certificate: Pem | None = None,
    key: Pem | None = None,
) -> grpc.ChannelCredentials | None:
    """What a channel to `address` is secured with: None where nothing of TLS is given.

    Raises ValueError for half of a client's certificate, and for a token that would go over a
    network in the clear; OSError for a file that cannot be read.
    """
    if (certificate is None) != (key is None):
        raise ValueError("a client's certificate and its key belong together: give both")
    if root_certificates is None and certificate is None:
        if token is not None and not address.is_loopback:
            raise ValueError(
                f"a token is not sent to {address.text} in the clear: give root_certificates"
                " (KGT_TLS_CA), the authorities of the server's certificate"
            )
        return None
    return grpc.ssl_channel_credentials(_read(root_certificates), _read(key), _read(certificate))


def with_token(stub: Stub, token: Token | None) -> Stub:
    """The stub of a service, each of whose calls carries the token."""
    if token is not None:
        for name, call in list(vars(stub).items()):
            setattr(stub, name, _carrying(call, token))
    return stub


def _carrying(call: Callable[..., Any], token: Token) -> Callable[..., Any]:
    def carry(*arguments: Any, **named: Any) -> Any:
        return call(*arguments, metadata=(("authorization", f"{_SCHEME} {_now(token)}"),), **named)

    return carry


def _now(token: Token) -> str:
    if not isinstance(token, Path):
        return token if isinstance(token, str) else token()
    try:
        return token.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Unauthenticated(f"no token can be read: {token}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Unauthenticated(f"no token can be read: {token}: is not text") from error


def _read(pem: Pem | None) -> bytes | None:
    return pem.read_bytes() if isinstance(pem, Path) else pem
