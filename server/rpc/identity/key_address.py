"""The public keys of whoever issues tokens, from the address where the issuer publishes them."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt

from server.rpc.errors import KeysUnavailable
from server.rpc.identity.keys import PublicKey, UnusableKeys, fitting, keys_of

EARLY_S = 240.0
"""Keys older than this are fetched again at the next call, which does not wait for it."""
REFRESH_S = 300.0
"""With keys older than this a call waits for the fetch, unless the last one failed."""
PAUSE_S = 30.0
"""The least time between two fetches, whatever ids of keys callers name, and also when they fail.
A new key works within this time."""
KEPT_S = 3600.0
"""How long keys are used while the address does not answer. A withdrawn key works no longer."""
_FETCH_S = 3.0
_MOST_WAITING = 64
"""Calls that wait for a fetch. Whoever sends unknown ids in great numbers may not fill the
server with calls."""

_log = logging.getLogger("kgt.rpc.identity")


class KeyAddress:
    """The keys of a JSON Web Key Set at an address, kept and fetched again from time to time.

    While the address does not answer, calls whose key is known do not wait for it, except for the
    first ones after a pause in which the keys became too old.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        # It only fetches: without redirects, and only by http or https. Its own cache would fetch
        # as often as it is asked while fetches fail, and keep nothing then.
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=_FETCH_S)
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keys")  # it may hang
        self._keys: Sequence[PublicKey] = ()
        self._fetched_s = self._tried_s = -math.inf
        self._has_failed = False
        self._fetching: asyncio.Task[None] | None = None
        self._waiting = 0

    async def find(self, key_id: str | None) -> Sequence[PublicKey]:
        found = fitting(self._keys, key_id)
        if not found or self._age_s > self._usable_s:
            await self._refresh()
            found = fitting(self._keys, key_id)
        elif self._age_s > EARLY_S:
            self._begin()
        if self._age_s > KEPT_S:
            raise KeysUnavailable(max(1.0, PAUSE_S - (self._clock() - self._tried_s)))
        return found

    @property
    def _age_s(self) -> float:
        return self._clock() - self._fetched_s

    @property
    def _usable_s(self) -> float:
        """The age up to which keys are used without waiting for newer ones."""
        return KEPT_S if self._has_failed else REFRESH_S

    def _begin(self) -> None:
        """Begin to fetch the keys, unless that was tried a moment ago."""
        if self._fetching is None and self._clock() - self._tried_s >= PAUSE_S:
            self._tried_s = self._clock()
            self._fetching = asyncio.create_task(self._fetch())

    async def _refresh(self) -> None:
        """Fetch the keys, unless that was tried a moment ago. Calls share a fetch."""
        if self._waiting >= _MOST_WAITING:
            return
        self._begin()
        if self._fetching is None:
            return
        self._waiting += 1
        try:
            await asyncio.shield(self._fetching)
        finally:
            self._waiting -= 1

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_FETCH_S):
                loop = asyncio.get_running_loop()
                document: Any = await loop.run_in_executor(self._thread, self._client.fetch_data)
            self._keys, self._fetched_s = keys_of(document), self._clock()
            self._has_failed = False
        except (jwt.PyJWTError, UnusableKeys, OSError, ValueError) as error:
            self._has_failed = True
            _log.warning("KGT_AUTH_KEYS: no keys were fetched: %s", type(error).__name__)
        finally:
            self._fetching = None
