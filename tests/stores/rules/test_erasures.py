"""What is kept of an erase. Stores hold these values, so they never change."""

from __future__ import annotations

from server.stores.rules.erasures import erase_digest, erasure_bucket, oldest_kept_ms


def test_buckets_and_digests_are_those_that_stores_hold() -> None:
    assert [erasure_bucket(user) for user in ("ann", "bob", "犬")] == [2449, 438, 3714]
    assert (
        erase_digest("ann", "r-1").hex()
        == "5fa526feaf0187528c5ba1ff03ceb23a9b2801126fedfbc5692c0ba35807528e"
    )


def test_a_digest_keeps_user_and_request_apart() -> None:
    assert erase_digest("a", "bc") != erase_digest("ab", "c")


def test_a_request_id_is_known_for_thirty_days() -> None:
    assert oldest_kept_ms(30 * 24 * 3600 * 1000 + 5) == 5
