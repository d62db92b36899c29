"""Requests to the model's server: bounded, tried again while there is time, and typed in failure.

What is sent and received is never logged, nor is the key.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import httpx2

from server.errors import ModelBusy, ModelUnreachable
from server.lm.pace import Overloaded
from server.lm.remote.address import ModelAddress
from server.lm.remote.gate import within_deadline
from server.lm.remote.replies import RequestRefused
from server.tuning.deadline import call_deadline
from server.tuning.ports import Sent
from server.tuning.watching import UNSENT

PATIENCE_S = 30.0
"""For how long a request is tried again, where no deadline ends it sooner."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 4.0
_TIMEOUT = httpx2.Timeout(connect=5.0, read=300.0, write=30.0, pool=None)
_MOST_REPLY_BYTES = 256 << 20
_MOST_REFUSAL_BYTES = 1 << 16
_MOST_RETRY_AFTER_S = 60.0
_BUSY = 429
_TRY_AGAIN = {408, 425}
"""Refusals that may end by themselves, like every status from 500 on."""

Body = Mapping[str, Any]
Result = TypeVar("Result")

# They would log each request's address, at the level that the server logs by default
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Connection:
    """A bounded pool of connections to one server. Belongs to one event loop.

    Errors: ModelBusy and Overloaded if the server is busy, ModelUnreachable if it fails or is not
    there, DeadlinePassed, and RequestRefused for what it will never do.
    """

    def __init__(
        self, address: ModelAddress, key: str, most: int, patience_s: float = PATIENCE_S
    ) -> None:
        self._url = address.url
        self._patience_s = patience_s
        self._client = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=_TIMEOUT,
            limits=httpx2.Limits(max_connections=most, max_keepalive_connections=most),
            follow_redirects=False,  # a redirect would take texts and key elsewhere
            trust_env=not address.is_loopback,  # a proxy does not reach this machine
        )

    async def get(self, path: str) -> bytes:
        """The body of the reply to a GET."""
        request = self._client.build_request("GET", f"{self._url}{path}")
        with UNSENT as sent:
            return await self._retried(lambda: self._read(request), sent)

    async def post(
        self, path: str, body: Body, away: AbstractContextManager[Sent] = UNSENT
    ) -> bytes:
        """The body of the reply to a POST. `away` watches it."""
        with away as sent:
            request = self._post(path, body, sent)
            return await self._retried(lambda: self._read(request), sent)

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, body: Body, away: AbstractContextManager[Sent] = UNSENT
    ) -> AsyncIterator[AsyncIterator[str]]:
        """The data of the events that a POST is answered with. `away` watches it.

        Only the beginning is tried again. Leaving early ends the generation at the server.
        """
        with away as sent:
            request = self._post(path, body, sent)
            response = await self._retried(lambda: self._opened(request), sent)
            try:
                async with contextlib.aclosing(_events(response)) as events:
                    yield events
            finally:
                await response.aclose()

    def _post(self, path: str, body: Body, sent: Sent) -> httpx2.Request:
        address = f"{self._url}{path}"
        return self._client.build_request("POST", address, json=body, headers=sent.headers)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _retried(self, attempt: Callable[[], Awaitable[Result]], sent: Sent) -> Result:
        """The result of `attempt`, which is made again while the server is busy or fails."""
        began, pause_s = time.monotonic(), _FIRST_PAUSE_S
        while True:
            try:
                async with within_deadline():
                    return await attempt()
            except (ModelBusy, ModelUnreachable) as error:
                wait_s = max(pause_s, error.retry_after_s or 0.0) * random.uniform(1.0, 1.5)
                self._require_time(error, began, wait_s)
                sent.retried("request")
            await asyncio.sleep(wait_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _require_time(
        self, error: ModelBusy | ModelUnreachable, began: float, wait_s: float
    ) -> None:
        """Raise `error` if another attempt after `wait_s` seconds would come too late."""
        again = time.monotonic() + wait_s
        deadline = call_deadline.get()
        if deadline is not None and again >= deadline:
            raise Overloaded(wait_s) if isinstance(error, ModelBusy) else error
        if again - began > self._patience_s:
            raise error

    async def _read(self, request: httpx2.Request) -> bytes:
        response = await self._opened(request)
        return await _whole(response, _MOST_REPLY_BYTES)

    async def _opened(self, request: httpx2.Request) -> httpx2.Response:
        """A reply whose body is still to be read, of a server that does what was asked."""
        try:
            response = await self._client.send(request, stream=True)
        except httpx2.HTTPError as error:
            raise ModelUnreachable(type(error).__name__) from None
        if response.status_code == httpx2.codes.OK:
            return response
        text = await _whole(response, _MOST_REFUSAL_BYTES)
        raise _error(response, text.decode("utf-8", "replace"))


async def _events(response: httpx2.Response) -> AsyncGenerator[str, None]:
    """The data of each event, until the stream ends or the deadline has passed."""
    async with contextlib.aclosing(_parsed(response)) as events:
        while True:
            try:
                async with within_deadline():
                    event = await anext(events)
            except StopAsyncIteration:
                return
            except httpx2.HTTPError as error:
                raise ModelUnreachable(type(error).__name__) from None
            yield event.data


async def _parsed(response: httpx2.Response) -> AsyncGenerator[httpx2.ServerSentEvent, None]:
    async for event in httpx2.EventSource(response):
        yield event


async def _whole(response: httpx2.Response, most: int) -> bytes:
    """The body of `response`. Raises ModelUnreachable if it breaks off or has over `most` bytes."""
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > most:
                raise ModelUnreachable("its reply is too long")
    except httpx2.HTTPError as error:
        raise ModelUnreachable(type(error).__name__) from None
    finally:
        await response.aclose()
    return bytes(body)


def _error(response: httpx2.Response, text: str) -> Exception:
    """What a status other than 200 means."""
    status, wait_s = response.status_code, _retry_after_s(response)
    if status == _BUSY:
        return ModelBusy(f"the model's server is busy (HTTP {status}); try again", wait_s)
    if status >= httpx2.codes.INTERNAL_SERVER_ERROR or status in _TRY_AGAIN:
        return ModelUnreachable(f"HTTP {status}", wait_s)
    return RequestRefused(status, text)


def _retry_after_s(response: httpx2.Response) -> float:
    """What the server says, in seconds, or 1. A date is not read: clocks differ."""
    said = response.headers.get("retry-after", "")
    return min(float(said), _MOST_RETRY_AFTER_S) if said.isdecimal() else 1.0
