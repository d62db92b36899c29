"""What a store keeps of an erase: a counter that names nobody, and a hash of the request's id."""

from __future__ import annotations

import hashlib
import json

from server.tuning.ports import KEPT_ERASURES_S

_BUCKETS = 4096


def erasure_bucket(user: str) -> int:
    """Which of 4,096 counters of erasures a user falls under, so that a counter names nobody."""
    return int.from_bytes(hashlib.sha256(user.encode()).digest()[:2], "big") % _BUCKETS


def erase_digest(user: str, request_id: str) -> bytes:
    """What is kept of an erase's request id: SHA-256 of user and id, which reveals neither."""
    return hashlib.sha256(json.dumps([user, request_id]).encode()).digest()


def oldest_kept_ms(now_ms: int) -> int:
    """The time up to which request ids of erases are forgotten."""
    return now_ms - KEPT_ERASURES_S * 1000
