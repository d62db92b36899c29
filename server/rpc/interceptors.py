"""What happens around every call: who calls, until when, and one line in the log."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from kgt.v1 import personalization_pb2 as pb
from server import errors
from server.defects import where
from server.rpc import limits
from server.rpc.errors import CallStalled, MalformedMessage, ServerBusy, UserBusy
from server.rpc.identity.callers import Callers, Context, Identity
from server.rpc.load import Load
from server.rpc.needs import Needs
from server.rpc.rates import Rates
from server.rpc.statuses import message_of, status_of, trailers
from server.rpc.under_way import UnderWay
from server.tuning.deadline import call_deadline
from server.tuning.ports import Sight
from server.tuning.ticket import Ticket, call_ticket
from server.tuning.watching import call_watch

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

Behavior: TypeAlias = "Callable[[Incoming, Context], Awaitable[Any]]"

_END: Any = grpc.aio.EOF  # type: ignore[attr-defined]

_LEAVING = (pb.ExportOverlayRequest, pb.EraseUserRequest)
"""Requests of users who take their data with them or have it removed."""
_PATIENCE_WITH_ERRORS_S = 1.0
"""A status waits behind the messages that a caller does not read. After this time, the call ends
without it."""

_caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller")
_log = logging.getLogger("kgt.rpc")


def caller() -> str:
    """The user on whose behalf the call is made."""
    return _caller.get()


def resolve_user(request: Any, identity: Identity) -> str:
    """The user whom the request names. Raises InvalidRequest, and NotThisUser for another's.

    Some names that earlier versions took are refused today. Those users can still be exported and
    erased.
    """
    check = limits.leaving_user if isinstance(request, _LEAVING) else limits.user
    user = check(request.user)
    identity.require_user(user)
    return user


class Boundary(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Finds who calls and for whom, ends failed calls with a status, and logs method, status and
    time.

    What users wrote is never logged. `sight` watches each call from when its handler begins: what
    gRPC itself refuses is not a call yet, and would never end.

    Each method is served as one that takes a stream of bytes; on the wire there is no difference.
    Messages are decoded here for two reasons. Bytes that cannot be decoded are refused like
    anything else, where grpc.aio would log a stack trace. And a unary call without a message is
    answered, where grpc.aio would let it wait for its deadline.
    """

    def __init__(
        self, package: str, load: Load, callers: Callers, rates: Rates, sight: Sight
    ) -> None:
        self._prefix = f"/{package}."
        self._sight = sight
        self._load = load
        self._callers = callers
        self._rates = rates
        self._calls = 0
        self._user_calls = UnderWay(UserBusy, load.user_calls)
        self._needs = Needs()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(self._prefix):
            return handler
        return self._wrapped(handler, method.removeprefix("/"))

    def _wrapped(self, handler: Any, full_method: str) -> Handler:
        method = full_method.rpartition("/")[2]
        decode, encode = handler.request_deserializer, handler.response_serializer

        def whole(behavior: Behavior) -> Callable[[object, Context], Awaitable[Any]]:
            async def call(_: object, context: Context) -> Any:
                metadata: Any = context.invocation_metadata() or ()
                call_watch.set(self._sight.call(full_method, metadata))

                async def work() -> Any:
                    identity = await self._callers.identify(context)
                    self._rates.take_caller(identity)
                    with contextlib.ExitStack() as held:

                        def admit(user: str) -> None:
                            self._rates.take_user(user, identity)
                            held.enter_context(self._user_calls.begun(user))

                        messages = Incoming(context, decode, self._load.idle_s, identity, admit)
                        return await self._admitted(lambda: behavior(messages, context), method)

                return await _guarded(work, context, method)

            return call

        if handler.unary_unary:
            return grpc.stream_unary_rpc_method_handler(
                whole(_unary(handler.unary_unary)), None, encode
            )
        if handler.unary_stream:
            streaming = _streaming(handler.unary_stream, self._load)
            return grpc.stream_stream_rpc_method_handler(whole(streaming), None, encode)
        return grpc.stream_unary_rpc_method_handler(
            whole(_collecting(handler.stream_unary)), None, encode
        )

    async def _admitted(self, work: Callable[[], Awaitable[Any]], method: str) -> Any:
        """Do `work`, with a ticket for the model.

        Raises ServerBusy if the server has as many calls as it takes on.
        """
        if self._calls >= self._load.calls:
            raise ServerBusy(self._load.calls)
        ticket = Ticket(self._needs.usual(method, time.monotonic()))
        call_ticket.set(ticket)
        self._calls += 1
        try:
            result = await work()
        except (asyncio.CancelledError, errors.DeadlinePassed):
            self._needs.note(method, ticket, cut_off=True)
            raise
        finally:
            self._calls -= 1
        self._needs.note(method, ticket)
        return result


class Incoming:
    """The decoded messages of one call, and who makes it. Waits at most `idle_s` for each."""

    def __init__(
        self,
        context: Context,
        decode: Callable[[bytes], Any],
        idle_s: float,
        identity: Identity,
        admit: Callable[[str], None],
    ) -> None:
        """`admit` is told for whom the call is made, and raises what keeps it out."""
        self.identity = identity
        self._admit = admit
        self._context = context
        self._decode = decode
        self._idle_s = idle_s

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> Any:
        """The next message. Raises CallStalled, MalformedMessage and TokenExpired."""
        data = await next_bytes(self._context, self._idle_s)
        self.identity.require_unexpired()
        if data is None:
            raise StopAsyncIteration
        return decoded(data, self._decode)

    async def first(self) -> Any:
        """The first message, which names the user.

        Raises InvalidRequest, NotThisUser, RateExceeded and UserBusy.
        """
        message = await anext(self, None)
        if message is None:
            raise errors.InvalidRequest("user", "is missing: the call holds no message")
        user = resolve_user(message, self.identity)
        self._admit(user)
        _caller.set(user)
        return message


async def next_bytes(context: Context, idle_s: float) -> bytes | None:
    """The call's next message, not decoded; None at its end. Raises CallStalled."""
    async with _patience(idle_s):
        data = await context.read()
    return None if data is _END else data


def decoded(data: bytes, decode: Callable[[bytes], Any]) -> Any:
    """The message in `data`. Raises MalformedMessage."""
    try:
        return decode(data)
    except DecodeError:
        raise MalformedMessage from None


@contextlib.asynccontextmanager
async def _patience(idle_s: float) -> AsyncIterator[None]:
    """Wait at most `idle_s` for the caller. Raises CallStalled."""
    try:
        async with asyncio.timeout(idle_s):
            yield
    except TimeoutError:
        raise CallStalled(idle_s) from None


def _unary(behavior: Callable[..., Awaitable[Any]]) -> Behavior:
    async def call(messages: Incoming, context: Context) -> Any:
        return await behavior(await messages.first(), context)

    return call


def _streaming(behavior: Callable[..., AsyncGenerator[Any, None]], load: Load) -> Behavior:
    async def call(messages: Incoming, context: Context) -> None:
        waited_s = 0.0
        # Close at once when the caller leaves, so that nothing read for it outlives the call.
        async with contextlib.aclosing(behavior(await messages.first(), context)) as responses:
            async for response in responses:
                messages.identity.require_unexpired()
                begun = time.monotonic()
                async with _patience(load.idle_s):
                    await context.write(response)
                waited_s += time.monotonic() - begun
                if waited_s > load.stream_s:
                    raise CallStalled(load.stream_s)

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
    """Do `work` until the call's deadline. An error ends the call with its status."""
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
            _log.error("%s failed: %s", method, where(error))
        await abort(context, error)
    except grpc.aio.AbortError:
        status = "ABORTED"
        raise
    except Exception as error:  # a defect: only the log says where
        status = "INTERNAL"
        _log.error("%s failed: %s", method, where(error))
        await abort(context, errors.Internal("the server failed; its log says where"))
    finally:
        took_ms = (time.monotonic() - started) * 1000
        told = {"rpc": method, "status": status, "took_ms": round(took_ms, 1)}
        _log.info("%s %s %.0f ms", method, status, took_ms, extra=told)
        call_watch.get().ended(status)


async def abort(context: Context, error: errors.KgtError) -> None:
    """End a call with the status of `error`."""
    try:
        async with asyncio.timeout(_PATIENCE_WITH_ERRORS_S):
            await context.abort(status_of(error), message_of(error), trailers(error))
    except TimeoutError:
        raise asyncio.CancelledError from None
