"""Fingerprints of bases. Stores hold them, so they never change."""

from __future__ import annotations

from server.stores.rules.base_graph import base_fingerprint, micro, row_digest


def test_a_digest_is_the_md5_of_the_columns() -> None:
    digest = bytes.fromhex("bf2adcc952eef76040dc85b937965876")  # printf 1,dog | md5sum
    assert row_digest(1, "dog") == int.from_bytes(digest, "little")


def test_a_weight_is_compared_in_millionths() -> None:
    assert [micro(weight) for weight in (1.0, 0.1 + 0.2, 2.4999999)] == [
        1_000_000,
        300_000,
        2_500_000,
    ]


def test_a_fingerprint_does_not_depend_on_the_order_of_loading() -> None:
    one, two = row_digest(1, "a"), row_digest(2, "b")
    assert base_fingerprint(one ^ two, 0) == base_fingerprint(two ^ one, 0)
    assert base_fingerprint(one ^ two, 0) != base_fingerprint(0, one ^ two)
    assert len(base_fingerprint(one, two)) == 16
