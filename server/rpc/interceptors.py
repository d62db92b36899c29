"""What happens around every call: who calls, what an error becomes, and one line in the log."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from server import errors
from server.rpc import limits
from server.tuning.deadline import call_deadline

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

DOMAIN = "kgt"
_RETRYABLE_MOST_S = 30.0

STATUS_OF: dict[type[errors.KgtError], grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.RequestIdReused: grpc.StatusCode.ALREADY_EXISTS,
    errors.RevisionMoved: grpc.StatusCode.ABORTED,
    errors.OverlayErased: grpc.StatusCode.ABORTED,
    errors.Conflict: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ModelBusy: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlinePassed: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DataLoss: grpc.StatusCode.DATA_LOSS,
    errors.KgtError: grpc.StatusCode.INTERNAL,
}
"""The status of each error; of a class that is not listed, its nearest base's."""

_caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller")
_log = logging.getLogger("kgt.rpc")


def caller() -> str:
    """The user on whose behalf the call is made."""
    return _caller.get()


def resolve_user(request: Any, context: Context) -> str:  # noqa: ARG001 - identity will read it
    """Who calls. Today: the request's own field. Raises InvalidRequest."""
    return limits.user(request.user)


class Boundary(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Resolves the user, maps errors to statuses once, and logs method, status and time, never what users wrote."""

    def __init__(self, package: str) -> None:
        self._prefix = f"/{package}."

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(self._prefix):
            return handler
        return _wrapped(handler, method.rpartition("/")[2])


def _wrapped(handler: Any, method: str) -> Handler:
    serializers = {
        "request_deserializer": handler.request_deserializer,
        "response_serializer": handler.response_serializer,
    }
    if handler.unary_unary:
        return grpc.unary_unary_rpc_method_handler(_unary(handler.unary_unary, method), **serializers)
    if handler.unary_stream:
        return grpc.unary_stream_rpc_method_handler(_streaming(handler.unary_stream, method), **serializers)
    return grpc.stream_unary_rpc_method_handler(_collecting(handler.stream_unary, method), **serializers)


def _unary(behavior: Callable[..., Awaitable[Any]], method: str) -> Callable[..., Awaitable[Any]]:
    async def call(request: Any, context: Context) -> Any:
        async def work() -> Any:
            _caller.set(resolve_user(request, context))
            return await behavior(request, context)

        return await _guarded(work, context, method)

    return call


def _streaming(behavior: Callable[..., AsyncIterator[Any]], method: str) -> Any:
    async def call(request: Any, context: Context) -> Any:
        async def work() -> None:
            _caller.set(resolve_user(request, context))
            async for message in behavior(request, context):
                await context.write(message)

        await _guarded(work, context, method)

    return call


def _collecting(behavior: Callable[..., Awaitable[Any]], method: str) -> Callable[..., Awaitable[Any]]:
    async def call(requests: AsyncIterator[Any], context: Context) -> Any:
        async def work() -> Any:
            first = await anext(aiter(requests), None)
            if first is None:
                raise errors.InvalidRequest("user", "is missing: the stream holds no message")
            _caller.set(resolve_user(first, context))
            return await behavior(_again(first, requests), context)

        return await _guarded(work, context, method)

    return call


async def _again(first: Any, rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    yield first
    async for message in rest:
        yield message


async def _guarded(work: Callable[[], Awaitable[Any]], context: Context, method: str) -> Any:
    started = time.monotonic()
    remaining = context.time_remaining()
    call_deadline.set(None if remaining is None else started + remaining)
    status = "OK"
    try:
        return await work()
    except asyncio.CancelledError:
        status = "CANCELLED"
        raise
    except errors.KgtError as error:
        code = status_of(error)
        status = f"{code.name} {error.reason}"
        if code is grpc.StatusCode.INTERNAL:
            _log.error("%s failed: %s", method, _where(error))
        await _abort(context, code, error)
    except grpc.aio.AbortError:
        status = "ABORTED"
        raise
    except Exception as error:  # a defect: the log keeps where, the caller gets no trace
        status = "INTERNAL"
        _log.error("%s failed: %s", method, _where(error))
        await _abort(context, grpc.StatusCode.INTERNAL, errors.Internal("the server failed; its log says where"))
    finally:
        _log.info("%s %s %.0f ms", method, status, (time.monotonic() - started) * 1000)


def status_of(error: errors.KgtError) -> grpc.StatusCode:
    """The gRPC status of an error: its class's, or its nearest base's."""
    return next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)


async def _abort(context: Context, code: grpc.StatusCode, error: errors.KgtError) -> None:
    status = status_pb2.Status(code=code.value[0], message=str(error))
    for detail in error_details(error):
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    trailing = [("grpc-status-details-bin", status.SerializeToString())]
    if isinstance(error, errors.Unavailable) and error.retry_after_s is not None:
        trailing.append(("grpc-retry-pushback-ms", str(int(min(error.retry_after_s, _RETRYABLE_MOST_S) * 1000))))
    await context.abort(code, str(error), tuple(trailing))


def error_details(error: errors.KgtError) -> list[Any]:
    """google.rpc details: ErrorInfo always, BadRequest with the field, RetryInfo where waiting helps (AIP-193)."""
    metadata: dict[str, str] = {}
    if isinstance(error, errors.TextTooLong):
        metadata = {"tokens": str(error.tokens), "limit": str(error.limit)}
    elif isinstance(error, errors.RevisionMoved):
        metadata = {"expected_revision": str(error.expected), "revision": str(error.actual)}
    elif isinstance(error, errors.RevertBlocked):
        metadata = {"edit_ids": ",".join(error.edit_ids)}
    elif isinstance(error, errors.EpsilonUnreachable):
        metadata = {"minimum": repr(error.minimum)}
    details: list[Any] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)]
    if isinstance(error, errors.InvalidRequest):
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.description)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, errors.Unavailable) and error.retry_after_s is not None:
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details


def _where(error: BaseException) -> str:
    """The kind of an error and the lines it came through, without its message, which may hold what a user wrote."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' < '.join(reversed(frames))}"
