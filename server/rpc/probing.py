"""Around the health and reflection services: anyone may ask whether the server serves.

All else is for operators: named services, watching, and reflection.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from server.errors import KgtError
from server.rpc.identity.callers import Callers, Context
from server.rpc.interceptors import Handler, abort

_OPEN = "/grpc.health.v1.Health/Check"


class Probing(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Lets operators ask what is not this service's own, and everyone ask for liveness."""

    def __init__(self, package: str, callers: Callers) -> None:
        self._prefix = f"/{package}."
        self._callers = callers

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
        codecs = handler.request_deserializer, handler.response_serializer
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(handler.unary_unary, method), *codecs
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(handler.unary_stream), *codecs
            )
        return grpc.stream_stream_rpc_method_handler(
            self._streaming(handler.stream_stream), *codecs
        )

    def _unary(self, behavior: Callable[..., Awaitable[Any]], method: str) -> Callable[..., Any]:
        async def call(request: Any, context: Context) -> Any:
            if method != _OPEN or request.service:
                await self._require_operator(context)
            return await behavior(request, context)

        return call

    def _streaming(self, behavior: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: Context) -> None:
            await self._require_operator(context)
            responses = behavior(request, context)
            if isinstance(responses, AsyncIterable):
                async for response in responses:
                    await context.write(response)
            else:
                await responses

        return call

    async def _require_operator(self, context: Context) -> None:
        try:
            (await self._callers.identify(context)).require_operator()
        except KgtError as error:
            await abort(context, error)
