"""Around the health and reflection services: anyone may ask whether the server serves.

All else is for operators: named services, watching, and reflection. None of it counts towards a
rate, so it has a bound of its own, and no call waits for its message without end.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from server.errors import InvalidRequest, KgtError
from server.rpc.errors import ServerBusy
from server.rpc.identity.callers import Callers, Context
from server.rpc.interceptors import Handler, abort, decoded, next_bytes
from server.rpc.load import Load

_OPEN = "/grpc.health.v1.Health/Check"


class Probing(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Lets operators ask what is not this service's own, and everyone ask for liveness.

    Methods that take one message are served as streams of bytes, like those of the boundary: gRPC
    would wait for the message until the call's deadline, and there may be none.
    """

    def __init__(self, package: str, callers: Callers, load: Load) -> None:
        self._prefix = f"/{package}."
        self._callers = callers
        self._load = load
        self._under_way = 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(self._prefix):
            return handler
        return self._wrapped(handler, method)

    def _wrapped(self, handler: Any, method: str) -> Handler:
        decode, encode = handler.request_deserializer, handler.response_serializer
        if handler.unary_unary:
            return grpc.stream_unary_rpc_method_handler(
                self._unary(handler.unary_unary, method, decode), None, encode
            )
        if handler.unary_stream:
            streaming = self._streaming(handler.unary_stream, decode)
            return grpc.stream_stream_rpc_method_handler(streaming, None, encode)
        return grpc.stream_stream_rpc_method_handler(
            self._streaming(handler.stream_stream), decode, encode
        )

    def _unary(
        self, behavior: Callable[..., Any], method: str, decode: Callable[[bytes], Any]
    ) -> Callable[..., Awaitable[Any]]:
        async def call(_: object, context: Context) -> Any:
            async with self._admitted(context):
                if method != _OPEN:
                    await self._require_operator(context)
                request = await self._message(context, decode)
                if method == _OPEN and request.service:
                    await self._require_operator(context)
                return await behavior(request, context)

        return call

    def _streaming(
        self, behavior: Callable[..., Any], decode: Callable[[bytes], Any] | None = None
    ) -> Callable[..., Awaitable[None]]:
        """`decode` is for methods that take one message; others are given the stream of them."""

        async def call(messages: Any, context: Context) -> None:
            async with self._admitted(context):
                await self._require_operator(context)
                asked = await self._message(context, decode) if decode else messages
                responses = behavior(asked, context)
                if isinstance(responses, AsyncIterable):
                    async for response in responses:
                        await context.write(response)
                else:
                    await responses

        return call

    @contextlib.asynccontextmanager
    async def _admitted(self, context: Context) -> AsyncIterator[None]:
        """Count a call until the block ends. An error of ours ends the call with its status."""
        try:
            if self._under_way >= self._load.probes:
                raise ServerBusy(self._load.probes)
            self._under_way += 1
            try:
                yield
            finally:
                self._under_way -= 1
        except KgtError as error:
            await abort(context, error)

    async def _message(self, context: Context, decode: Callable[[bytes], Any]) -> Any:
        """The call's message. Raises CallStalled, MalformedMessage and InvalidRequest."""
        data = await next_bytes(context, self._load.idle_s)
        if data is None:
            raise InvalidRequest("message", "is missing")
        return decoded(data, decode)

    async def _require_operator(self, context: Context) -> None:
        (await self._callers.identify(context)).require_operator()
