"""A gRPC server that does what a test says: it answers each RPC with an empty message, or fails."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor

from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc

RPCS: list[MethodDescriptor] = list(
    pb.DESCRIPTOR.services_by_name["PersonalizationService"].methods
)
AT_ONCE = ("grpc-retry-pushback-ms", "1")
"""Tells the client to retry without waiting."""


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@dataclass
class Script:
    """What the server does, and what it has seen."""

    failures: int = 0
    """How many calls fail before one succeeds."""
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    trailing: tuple[tuple[str, str | bytes], ...] = (AT_ONCE,)
    messages_before_failure: int = 0
    """How many messages of a stream are sent before it fails."""
    responses: dict[str, list[Any]] = field(default_factory=dict)
    """What each RPC responds with. An RPC that is not listed responds with an empty message."""
    details: str = "as the script says"
    """The message of a failure."""
    hangs: bool = False
    """Whether calls stay unanswered until the client gives up."""
    left: int = 0
    """How many callers have given up."""
    calls: list[list[Any]] = field(default_factory=list)
    """The messages that each call sent."""
    remaining_s: list[float | None] = field(default_factory=list)
    """The time that each call had until its deadline."""

    def enter(self, messages: list[Any], context: grpc.ServicerContext) -> bool:
        """Record a call. Returns whether it fails."""
        self.calls.append(messages)
        self.remaining_s.append(context.time_remaining())
        if self.hangs:
            left = threading.Event()
            if context.add_callback(left.set):
                left.wait()
            self.left += 1
        self.failures -= 1
        return self.failures >= 0

    def fail(self, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata(self.trailing)
        context.abort(self.code, self.details)


def _behavior(rpc: MethodDescriptor, script: Script) -> Callable[..., Any]:
    responses = script.responses.get(rpc.name) or [getattr(pb, rpc.output_type.name)()]

    def received(request: Any) -> list[Any]:
        return list(request) if rpc.client_streaming else [request]

    def unary(_self: object, request: Any, context: grpc.ServicerContext) -> Any:
        if script.enter(received(request), context):
            script.fail(context)
        return responses[0]

    def streaming(_self: object, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        if script.enter(received(request), context):
            for n in range(script.messages_before_failure):
                yield responses[n % len(responses)]
            script.fail(context)
        yield from responses

    return streaming if rpc.server_streaming else unary


@contextlib.contextmanager
def scripted_server(script: Script, host: str = "127.0.0.1") -> Iterator[str]:
    """The address of a server that does what `script` says."""
    behaviors = {rpc.name: _behavior(rpc, script) for rpc in RPCS}
    servicer = type("Scripted", (pb_grpc.PersonalizationServiceServicer,), behaviors)()
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        pb_grpc.add_PersonalizationServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port(f"{host}:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()
