"""The outermost interceptor: from here on, the call is watched."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from server.tuning.ports import Sight
from server.tuning.watching import call_watch


class Watching(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Gives each call of a package its watch. The boundary inside tells it how the call ended."""

    def __init__(self, package: str, sight: Sight) -> None:
        self._prefix = f"/{package}."
        self._sight = sight

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is not None and method.startswith(self._prefix):
            # grpc.aio calls the handler in the task, and so in the context, of its interceptors.
            metadata = handler_call_details.invocation_metadata or ()
            call_watch.set(self._sight.call(method.removeprefix("/"), metadata))
        return handler
