"""Clients for other services: blocking and asynchronous, without any of the server's dependencies.

    from kgt.client import Client

    with Client("127.0.0.1:50051") as kgt:
        kgt.personalize(user="alice", query="What does a dog enjoy?", answer="vegetables")
        print(kgt.answer(user="alice", query="What should I feed my dog?").text)
        quick = kgt.within(2.0)  # the same connection, other deadline

Methods are named as the RPCs, take the arguments in kgt.requests and return the RPCs' messages;
streams are iterators. Every call has a deadline. UNAVAILABLE is retried, never after the first
message of a stream; writes carry a request id, so that a retry cannot be made twice. What a call
fails with is in kgt.errors. A server on this machine is never reached through a proxy, whatever
http_proxy says.
"""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

import grpc
import grpc.aio

from kgt import requests
from kgt.addresses import DEFAULT_ADDRESS, channel_options, for_client
from kgt.errors import from_rpc_error
from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc

DEFAULT_TIMEOUT_S = 60.0

SERVICE_CONFIG = json.dumps(
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
_OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.enable_retries", 1),
]

P = ParamSpec("P")
R = TypeVar("R")


def _target(address: str) -> tuple[str, list[tuple[str, str | int]]]:
    """What a channel to `address` is made from. Raises InvalidAddress."""
    checked = for_client(address)
    return checked.text, [*_OPTIONS, *channel_options(checked)]


class _Unary(Generic[P, R]):
    """A method of Client: one message in (or a stream of them), one out."""

    def __init__(self, rpc: str, build: Callable[P, object], response: Callable[..., R]) -> None:
        self._rpc, self._build = rpc, build

    def __get__(self, client: Client, owner: type[Client]) -> Callable[P, R]:
        @functools.wraps(self._build)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                response: R = getattr(client.stub, self._rpc)(
                    self._build(*args, **kwargs), timeout=client.timeout_s
                )
            except grpc.RpcError as error:
                raise from_rpc_error(error) from None
            return response

        return call


class _Streamed(Generic[P, R]):
    """A method of Client: one message in, a stream out."""

    def __init__(self, rpc: str, build: Callable[P, object], response: Callable[..., R]) -> None:
        self._rpc, self._build = rpc, build

    def __get__(self, client: Client, owner: type[Client]) -> Callable[P, Iterator[R]]:
        @functools.wraps(self._build)
        def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
            try:
                yield from getattr(client.stub, self._rpc)(
                    self._build(*args, **kwargs), timeout=client.timeout_s
                )
            except grpc.RpcError as error:
                raise from_rpc_error(error) from None

        return call


class _AsyncUnary(Generic[P, R]):
    """A method of AsyncClient: one message in (or a stream of them), one out."""

    def __init__(self, rpc: str, build: Callable[P, object], response: Callable[..., R]) -> None:
        self._rpc, self._build = rpc, build

    def __get__(self, client: AsyncClient, owner: type[AsyncClient]) -> Callable[P, Any]:
        @functools.wraps(self._build)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                response: R = await getattr(client.stub, self._rpc)(
                    self._build(*args, **kwargs), timeout=client.timeout_s
                )
            except grpc.RpcError as error:
                raise from_rpc_error(error) from None
            return response

        return call


class _AsyncStreamed(Generic[P, R]):
    """A method of AsyncClient: one message in, a stream out."""

    def __init__(self, rpc: str, build: Callable[P, object], response: Callable[..., R]) -> None:
        self._rpc, self._build = rpc, build

    def __get__(
        self, client: AsyncClient, owner: type[AsyncClient]
    ) -> Callable[P, AsyncIterator[R]]:
        @functools.wraps(self._build)
        async def call(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
            try:
                async for message in getattr(client.stub, self._rpc)(
                    self._build(*args, **kwargs), timeout=client.timeout_s
                ):
                    yield message
            except grpc.RpcError as error:
                raise from_rpc_error(error) from None

        return call


def whole_lines(messages: Iterable[pb.ExportOverlayResponse]) -> Iterator[str]:
    """The lines of an export; a line that does not fit a message comes in several."""
    pieces: list[str] = []
    for message in messages:
        pieces.append(message.line)
        if not message.continued:
            yield "".join(pieces)
            pieces.clear()


class Client:
    """The blocking client. Use it as a context manager, or call `close`. Raises InvalidAddress (a
    ValueError)."""

    personalize = _Unary("Personalize", requests.personalize, pb.PersonalizeResponse)
    answer = _Unary("Answer", requests.answer, pb.AnswerResponse)
    stream_answer = _Streamed("StreamAnswer", requests.stream_answer, pb.StreamAnswerResponse)
    get_neighborhood = _Unary(
        "GetNeighborhood", requests.get_neighborhood, pb.GetNeighborhoodResponse
    )
    list_facts = _Unary("ListFacts", requests.list_facts, pb.ListFactsResponse)
    edit_facts = _Unary("EditFacts", requests.edit_facts, pb.EditFactsResponse)
    list_edits = _Unary("ListEdits", requests.list_edits, pb.ListEditsResponse)
    revert_edit = _Unary("RevertEdit", requests.revert_edit, pb.RevertEditResponse)
    export_overlay = _Streamed("ExportOverlay", requests.export_overlay, pb.ExportOverlayResponse)
    import_overlay = _Unary("ImportOverlay", requests.import_overlay, pb.ImportOverlayResponse)
    erase_user = _Unary("EraseUser", requests.erase_user, pb.EraseUserResponse)

    def __init__(
        self, address: str = DEFAULT_ADDRESS, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        self.timeout_s = timeout_s
        target, options = _target(address)
        self._channel = grpc.insecure_channel(target, options=options)
        self.stub = pb_grpc.PersonalizationServiceStub(self._channel)

    def within(self, timeout_s: float) -> Client:
        """This client with another deadline, over the same connection."""
        other = object.__new__(Client)
        other.timeout_s, other._channel, other.stub = timeout_s, self._channel, self.stub
        return other

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient:
    """The asynchronous client. Use it as an asynchronous context manager, or await `close`. Raises
    InvalidAddress."""

    personalize = _AsyncUnary("Personalize", requests.personalize, pb.PersonalizeResponse)
    answer = _AsyncUnary("Answer", requests.answer, pb.AnswerResponse)
    stream_answer = _AsyncStreamed("StreamAnswer", requests.stream_answer, pb.StreamAnswerResponse)
    get_neighborhood = _AsyncUnary(
        "GetNeighborhood", requests.get_neighborhood, pb.GetNeighborhoodResponse
    )
    list_facts = _AsyncUnary("ListFacts", requests.list_facts, pb.ListFactsResponse)
    edit_facts = _AsyncUnary("EditFacts", requests.edit_facts, pb.EditFactsResponse)
    list_edits = _AsyncUnary("ListEdits", requests.list_edits, pb.ListEditsResponse)
    revert_edit = _AsyncUnary("RevertEdit", requests.revert_edit, pb.RevertEditResponse)
    export_overlay = _AsyncStreamed(
        "ExportOverlay", requests.export_overlay, pb.ExportOverlayResponse
    )
    import_overlay = _AsyncUnary("ImportOverlay", requests.import_overlay, pb.ImportOverlayResponse)
    erase_user = _AsyncUnary("EraseUser", requests.erase_user, pb.EraseUserResponse)

    def __init__(
        self, address: str = DEFAULT_ADDRESS, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        self.timeout_s = timeout_s
        target, options = _target(address)
        self._channel = grpc.aio.insecure_channel(target, options=options)
        self.stub = pb_grpc.PersonalizationServiceStub(self._channel)

    def within(self, timeout_s: float) -> AsyncClient:
        """This client with another deadline, over the same connection."""
        other = object.__new__(AsyncClient)
        other.timeout_s, other._channel, other.stub = timeout_s, self._channel, self.stub
        return other

    async def close(self) -> None:
        await self._channel.close(None)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
