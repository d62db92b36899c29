"""What a call asks of the model, judged by the last calls of the same method."""

from __future__ import annotations

from collections import defaultdict, deque
from statistics import median_low

from server.tuning.ticket import Need, Ticket

KEPT_CALLS = 32
REMEMBERED_S = 60.0
"""What older calls needed tells nothing of now. If it did, it could refuse all that would show
that it is no longer so."""


class Needs:
    """What the last calls of each method needed."""

    def __init__(self) -> None:
        self._last: dict[str, deque[tuple[float, Need]]] = defaultdict(
            lambda: deque(maxlen=KEPT_CALLS)
        )
        """With the time when each had its last pass."""

    def usual(self, method: str, now: float) -> Need:
        """The median of the tokens, and of the seconds. Nothing if there were no calls lately."""
        last = [need for ended, need in self._last[method] if now - ended <= REMEMBERED_S]
        if not last:
            return Need()
        return Need(
            median_low([need.tokens for need in last]), median_low([need.seconds for need in last])
        )

    def note(self, method: str, ticket: Ticket, *, cut_off: bool = False) -> None:
        """A call has ended. One that did not ask the model tells nothing.

        One that was `cut_off` before it was done needed more than it got. Without those, all that
        is known of a busy time would be the calls that happen to be short.
        """
        if ticket.began is None or ticket.ended is None:
            return
        need = Need(ticket.tokens_read, ticket.ended - ticket.began)
        if cut_off:
            usual = ticket.expected
            need = Need(max(need.tokens, usual.tokens), max(need.seconds, usual.seconds))
        self._last[method].append((ticket.ended, need))
