"""What both clients share: the channel's options, the default deadline, and typed errors."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import grpc

from kgt.addresses import channel_options, for_client
from kgt.errors import from_rpc_error
from kgt.v1 import personalization_pb2 as pb

DEFAULT_TIMEOUT_S = 60.0
"""How long a call may take unless the client is told otherwise."""

_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "kgt.v1.PersonalizationService"}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.2s",
                    "maxBackoff": "3s",
                    "backoffMultiplier": 3,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)
"""gRPC's own description of when it retries a call."""

_OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.enable_retries", 1),
]


def channel_target(address: str) -> tuple[str, list[tuple[str, str | int]]]:
    """The target and the options of a channel to `address`. Raises InvalidAddress."""
    checked = for_client(address)
    return checked.text, [*_OPTIONS, *channel_options(checked)]


@contextlib.contextmanager
def typed_errors() -> Iterator[None]:
    """Raise gRPC's errors as the ones in `kgt.errors`."""
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc_error(error) from None


class _Cancellable(Protocol):
    def cancel(self) -> bool: ...


Call = TypeVar("Call", bound=_Cancellable)


@contextlib.contextmanager
def ended_when_left(call: Call) -> Iterator[Call]:
    """End a stream when its reader leaves it, and not when the garbage collector finds it."""
    try:
        yield call
    finally:
        call.cancel()  # does nothing to a call that has ended


def whole_lines(messages: Iterable[pb.ExportOverlayResponse]) -> Iterator[str]:
    """The lines of an export. A line too long for one message arrives in several, joined here."""
    pieces: list[str] = []
    for message in messages:
        pieces.append(message.line)
        if not message.continued:
            yield "".join(pieces)
            pieces.clear()
