"""How often callers may call: the rates of users and of services, by the package `limits`.

The counts are in this process's memory: each server counts for itself, and a restart forgets.
"""

from __future__ import annotations

import time

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from server.rpc.errors import RateExceeded
from server.rpc.identity.callers import Identity

USER_RATE = "1200/minute"
"""20 a second, all the time: more than a person and a few applications of theirs ask."""
SERVICE_RATE = "60000/minute"
UNLIMITED = "none"

_USER, _SERVICE = "user", "service"


class Rates:
    """Counts calls, and refuses those beyond a rate.

    A rate is a text of the package `limits`, such as "1200/minute" or "50/second; 1200/minute",
    where all parts count. "none" limits nothing.
    """

    def __init__(self, user: str = UNLIMITED, service: str = UNLIMITED) -> None:
        """Raises ValueError for a text that is not a rate."""
        self._items = {_USER: parsed(user), _SERVICE: parsed(service)}
        # The moving window remembers the time of each call, so that a caller who comes back when
        # told to is not refused again.
        self._window = MovingWindowRateLimiter(MemoryStorage())

    def take_caller(self, identity: Identity) -> None:
        """Count a call of this caller, before anything of it is read. Raises RateExceeded.

        A service without a name, as all callers are where nobody proves anything, is not counted.
        """
        if identity.any_user:
            self._take(_SERVICE, "service", identity.name)
        elif identity.user is not None:
            self._take(_USER, "user", identity.user)
        else:
            # A certificate's name that happens to be a user's takes nothing from that user.
            self._take(_USER, "certificate", identity.name)

    def take_user(self, user: str, identity: Identity) -> None:
        """Count a call that a service makes for a user. Raises RateExceeded.

        Users' own calls were counted when they came.
        """
        if identity.any_user:
            self._take(_USER, "user", user)

    def _take(self, kind: str, what: str, name: str | None) -> None:
        """Count a call at a kind of rate, for one caller or user: `what` it is, and its name."""
        if name is None:
            return
        items = self._items[kind]
        # What one part of the rate refuses does not count for the others.
        for item in items:
            if not self._window.test(item, what, name):
                free_at = self._window.get_window_stats(item, what, name).reset_time
                raise RateExceeded(kind, str(item), max(0.001, free_at - time.time()))
        for item in items:
            self._window.hit(item, what, name)


def parsed(rate: str) -> list[RateLimitItem]:
    """The parts of a rate. Raises ValueError."""
    return [] if rate.strip() == UNLIMITED else parse_many(rate)
