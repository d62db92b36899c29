"""What happens around every call: who calls, what an error becomes, and one line in the log."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from kgt.v1 import personalization_pb2 as pb
from server import errors
from server.rpc import limits
from server.rpc.load import Load
from server.tuning.deadline import call_deadline

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

Behavior: TypeAlias = "Callable[[Incoming, Context], Awaitable[Any]]"

_END: Any = grpc.aio.EOF  # type: ignore[attr-defined]

_LEAVING = (pb.ExportOverlayRequest, pb.EraseUserRequest)

DOMAIN = "kgt"
_RETRYABLE_MOST_S = 30.0
_PATIENCE_WITH_ERRORS_S = 1.0
"""A status waits behind the messages that a caller does not read. The call ends without it then."""
_MOST_TEXT_BYTES = 1024
_MOST_STATUS_BYTES = 3500
"""In base64, and next to a message of 1 KiB, under 6 KiB: clients take 8 KiB of trailers in all."""

STATUS_OF: dict[type[errors.KgtError], grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.RequestIdReused: grpc.StatusCode.ALREADY_EXISTS,
    errors.RevisionMoved: grpc.StatusCode.ABORTED,
    errors.OverlayErased: grpc.StatusCode.ABORTED,
    errors.Conflict: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ModelBusy: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ServerBusy: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ImportsBusy: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlinePassed: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.CallStalled: grpc.StatusCode.DEADLINE_EXCEEDED,
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
    """Who calls. Today: the request's own field. Raises InvalidRequest.

    A user whose name is refused today, but was not always, can still be exported and erased.
    """
    return (limits.leaving_user if isinstance(request, _LEAVING) else limits.user)(request.user)


class Boundary(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Resolves the user, maps errors to statuses once, and logs method, status and time, never what
    users wrote.

    Each method is served as one that takes a stream of bytes, which looks the same on the wire.
    Messages are decoded here, so that bytes which cannot be decoded are refused like anything else
    (grpc.aio would log a stack trace), and a unary call without a message is answered (grpc.aio
    would leave it waiting for its deadline).
    """

    def __init__(self, package: str, load: Load) -> None:
        self._prefix = f"/{package}."
        self._load = load
        self._calls = 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(self._prefix):
            return handler
        return self._wrapped(handler, method.rpartition("/")[2])

    def _wrapped(self, handler: Any, method: str) -> Handler:
        decode, encode = handler.request_deserializer, handler.response_serializer

        def whole(behavior: Behavior) -> Callable[[object, Context], Awaitable[Any]]:
            async def call(_: object, context: Context) -> Any:
                messages = Incoming(context, decode, self._load.idle_s)
                return await _guarded(
                    lambda: self._admitted(lambda: behavior(messages, context)), context, method
                )

            return call

        if handler.unary_unary:
            return grpc.stream_unary_rpc_method_handler(
                whole(_unary(handler.unary_unary)), None, encode
            )
        if handler.unary_stream:
            streaming = _streaming(handler.unary_stream, self._load.idle_s)
            return grpc.stream_stream_rpc_method_handler(whole(streaming), None, encode)
        return grpc.stream_unary_rpc_method_handler(
            whole(_collecting(handler.stream_unary)), None, encode
        )

    async def _admitted(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do `work` unless as many calls are under way as the server takes on. Raises ServerBusy."""
        if self._calls >= self._load.calls:
            raise errors.ServerBusy
        self._calls += 1
        try:
            return await work()
        finally:
            self._calls -= 1


class Incoming:
    """The messages of one call, decoded, each waited for a while at most."""

    def __init__(self, context: Context, decode: Callable[[bytes], Any], idle_s: float) -> None:
        self._context = context
        self._decode = decode
        self._idle_s = idle_s

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> Any:
        """The next message. Raises CallStalled and MalformedMessage."""
        async with _patience(self._idle_s):
            data = await self._context.read()
        if data is _END:
            raise StopAsyncIteration
        try:
            return self._decode(data)
        except DecodeError:
            raise errors.MalformedMessage from None

    async def first(self) -> Any:
        """The first message, which names the caller. Raises InvalidRequest."""
        message = await anext(self, None)
        if message is None:
            raise errors.InvalidRequest("user", "is missing: the call holds no message")
        _caller.set(resolve_user(message, self._context))
        return message


@contextlib.asynccontextmanager
async def _patience(idle_s: float) -> AsyncIterator[None]:
    """Wait for the caller `idle_s` at most. Raises CallStalled."""
    try:
        async with asyncio.timeout(idle_s):
            yield
    except TimeoutError:
        raise errors.CallStalled(idle_s) from None


def _unary(behavior: Callable[..., Awaitable[Any]]) -> Behavior:
    async def call(messages: Incoming, context: Context) -> Any:
        return await behavior(await messages.first(), context)

    return call


def _streaming(behavior: Callable[..., AsyncGenerator[Any, None]], idle_s: float) -> Behavior:
    async def call(messages: Incoming, context: Context) -> None:
        # Closed here and now when the caller leaves, so that nothing read for it outlives the call.
        async with contextlib.aclosing(behavior(await messages.first(), context)) as responses:
            async for response in responses:
                async with _patience(idle_s):
                    await context.write(response)

    return call


def _collecting(behavior: Callable[..., Awaitable[Any]]) -> Behavior:
    async def call(messages: Incoming, context: Context) -> Any:
        return await behavior(_again(await messages.first(), messages), context)

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
        await _abort(context, error)
    except grpc.aio.AbortError:
        status = "ABORTED"
        raise
    except Exception as error:  # a defect: the log keeps where, the caller gets no trace
        status = "INTERNAL"
        _log.error("%s failed: %s", method, _where(error))
        await _abort(context, errors.Internal("the server failed; its log says where"))
    finally:
        _log.info("%s %s %.0f ms", method, status, (time.monotonic() - started) * 1000)


def status_of(error: errors.KgtError) -> grpc.StatusCode:
    """The gRPC status of an error: its class's, or its nearest base's."""
    return next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)


async def _abort(context: Context, error: errors.KgtError) -> None:
    code, message = status_of(error), _capped(str(error))
    trailing: list[tuple[str, str | bytes]] = [
        ("grpc-status-details-bin", _status(code, message, error_details(error)))
    ]
    if isinstance(error, errors.Unavailable) and error.retry_after_s is not None:
        trailing.append(
            ("grpc-retry-pushback-ms", str(int(min(error.retry_after_s, _RETRYABLE_MOST_S) * 1000)))
        )
    try:
        async with asyncio.timeout(_PATIENCE_WITH_ERRORS_S):
            await context.abort(code, message, tuple(trailing))
    except TimeoutError:
        raise asyncio.CancelledError from None


def _status(code: grpc.StatusCode, message: str, details: Sequence[Message]) -> bytes:
    """A google.rpc.Status, without what would make the trailer larger than clients take."""
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        if status.ByteSize() + packed.ByteSize() <= _MOST_STATUS_BYTES:
            status.details.append(packed)
    return bytes(status.SerializeToString())


def _capped(text: str) -> str:
    """At most 1 KiB of `text`, in ASCII: other characters would take three times their bytes in a
    trailer."""
    text = text.encode("ascii", "replace").decode()
    return text if len(text) <= _MOST_TEXT_BYTES else text[: _MOST_TEXT_BYTES - 3] + "..."


def _named(edit_ids: Sequence[str]) -> str:
    """The first ids, whole ones, as one value."""
    value = ""
    for edit_id in edit_ids:
        longer = f"{value},{edit_id}" if value else edit_id
        if len(longer) > _MOST_TEXT_BYTES:
            break
        value = longer
    return value


def error_details(error: errors.KgtError) -> list[Message]:
    """google.rpc details: ErrorInfo always, BadRequest with the field, RetryInfo where waiting
    helps (AIP-193)."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    info.metadata.update({name: _capped(value) for name, value in _metadata(error).items()})
    details: list[Message] = [info]
    if isinstance(error, errors.InvalidRequest):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_capped(error.field), description=_capped(error.description)
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, errors.Unavailable) and error.retry_after_s is not None:
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details


def _metadata(error: errors.KgtError) -> dict[str, str]:
    if isinstance(error, errors.TextTooLong | errors.RequestTooLarge):
        return {"tokens": str(error.tokens), "limit": str(error.limit)}
    if isinstance(error, errors.ResponseTooLarge):
        return {"bytes": str(error.size), "limit": str(error.limit)}
    if isinstance(error, errors.RevisionMoved):
        return {"expected_revision": str(error.expected), "revision": str(error.actual)}
    if isinstance(error, errors.RevertBlocked):
        return {"edit_ids": _named(error.edit_ids), "edits": str(error.count)}
    if isinstance(error, errors.UnreadableRecord):
        return {"edit_id": error.edit_id, "revision": str(error.revision)}
    if isinstance(error, errors.EpsilonUnreachable):
        return {"minimum": repr(error.minimum)}
    return {}


def _where(error: BaseException) -> str:
    """The kind of an error and the lines it came through, without its message, which may hold what
    a user wrote."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' < '.join(reversed(frames))}"
